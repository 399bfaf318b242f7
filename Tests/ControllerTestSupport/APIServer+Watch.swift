import NIOCore
import NIOHTTP1
import StrictJSON
import Synchronization

extension APIServer {
    /// Streams events until the client's timeout, or a fault.
    func watch(_ request: Request, _ outbound: Outbound, _ fault: FaultScript.WatchFault?) async throws {
        guard let location = Location(request.path), Self.collections.contains(location.collection) else {
            return try await Response.status(404, "NotFound", "no such resource").write(to: outbound)
        }
        var version = request.query["resourceVersion"].flatMap { Int($0) } ?? store.version
        guard store.changes(of: location.collection, after: version) != nil else {
            let message = "too old resource version: \(version)"
            return try await Response.status(410, "Expired", message).write(to: outbound)
        }
        let head = HTTPResponseHead(
            version: .http1_1, status: .ok,
            headers: ["Content-Type": "application/json", "Transfer-Encoding": "chunked"])
        try await outbound.write(.head(head))
        let end = ContinuousClock.now + .seconds(request.query["timeoutSeconds"].flatMap { Int($0) } ?? 3600)
        let wantsBookmarks = request.query["allowWatchBookmarks"] == "true"
        let selects = selects(request, location)
        var left = fault?.after ?? .max
        while !Task.isCancelled {
            guard let (changes, now) = store.changes(of: location.collection, after: version) else {
                let gone = Response.object(410, "Expired", "too old resource version: \(version)")
                try await send("ERROR", gone, outbound)
                break
            }
            for change in changes {
                guard let (type, object) = Self.event(change, selects) else { continue }
                if left == 0 { break }
                try await send(type, object, outbound)
                left -= 1
            }
            // A version that is still to come: everything before it is left out.
            version = max(version, now)
            if left == 0, let fault {
                try await fail(fault.kind, outbound)
                break
            }
            if ContinuousClock.now >= end { break }
            let pause = min(.milliseconds(bookmarkInterval), ContinuousClock.now.duration(to: end))
            if try await isQuiet(for: pause, after: version), wantsBookmarks, version <= store.version {
                let bookmark: JSONValue = [
                    "kind": .string(location.kind), "apiVersion": .string(Discovery.version(of: location.collection)),
                    "metadata": ["resourceVersion": .string("\(version)")],
                ]
                try await send("BOOKMARK", bookmark, outbound)
                lastBookmark.withLock { $0 = version }
            }
        }
        try await outbound.write(.end(nil))
    }

    /// Waits until a bookmark for the present version was sent to a watch.
    public func waitForBookmark() async throws {
        let now = store.version
        while lastBookmark.withLock(\.self) < now { try await Task.sleep(for: .milliseconds(5)) }
    }

    /// The event that a change is for a watch with a selector.
    private static func event(
        _ change: ObjectStore.Change, _ selects: (JSONValue) -> Bool
    ) -> (String, JSONValue)? {
        let was = change.before.map(selects) ?? false
        let isNow = change.after.map(selects) ?? false
        switch (was, isNow) {
        case (false, true): return change.after.map { ("ADDED", $0) }
        case (true, true): return change.after.map { ("MODIFIED", $0) }
        case (true, false):
            // An object that is no longer selected is sent in its last state, with the version of the change.
            let version = JSONValue.string("\(change.version)")
            return change.before.map {
                ("DELETED", $0.setting("metadata", $0["metadata"]?.setting("resourceVersion", version)))
            }
        case (false, false): return nil
        }
    }

    private func isQuiet(for time: Duration, after version: Int) async throws -> Bool {
        try await withThrowingTaskGroup(of: Bool.self) { group in
            group.addTask {
                await self.store.waitForChange(after: version)
                return false
            }
            group.addTask {
                try await Task.sleep(for: time)
                return true
            }
            defer { group.cancelAll() }
            return try await group.next() ?? true
        }
    }

    private func send(_ type: String, _ object: JSONValue, _ outbound: Outbound) async throws {
        let text = try JSONEncoding.text(of: ["type": .string(type), "object": object] as JSONValue)
        try await outbound.write(.body(.byteBuffer(ByteBuffer(string: text + "\n"))))
    }

    private func fail(_ kind: FaultScript.WatchFault.Kind, _ outbound: Outbound) async throws {
        switch kind {
        case .error(let code, let reason):
            try await send("ERROR", Response.object(code, reason, "a fault on command"), outbound)
        case .cut:
            try await outbound.write(
                .body(.byteBuffer(ByteBuffer(string: #"{"type":"MODIFIED","object":{"kind":"Po"#))))
            throw FaultScript.CutOff()
        case .end: break
        case .garbage: try await outbound.write(.body(.byteBuffer(ByteBuffer(string: "<html>\n"))))
        case .silence(let milliseconds): try await Task.sleep(for: .milliseconds(milliseconds))
        }
    }
}
