import ControllerTestSupport
import Kubernetes
import Testing

extension APIServer {
    func client(
        token: String? = nil, timeout: Duration = .seconds(5)
    ) throws -> APIClient {
        var access = ClusterAccess(server: url)
        access.token = token.map { .text($0) }
        return try APIClient(access, userAgent: "test", timeout: timeout)
    }

    /// Watches the labelled pods of node-a while `body` runs.
    func watching<Result>(
        pageSize: Int = 100, token: String? = nil, bookmarkTimeout: Duration = .seconds(150),
        _ body: (Elements) async throws -> Result
    ) async throws -> Result {
        let client = try client(token: token)
        let selectors = [("labelSelector", "kmesh.net/bypass=enabled"), ("fieldSelector", "spec.nodeName=node-a")]
        let watch = ResourceWatch<Pod>(
            client, "/api/v1/pods", selectors: selectors, pageSize: pageSize, bookmarkTimeout: bookmarkTimeout)
        let elements = Elements()
        let task = Task {
            for await element in watch { await elements.add(element) }
        }
        let result: Swift.Result<Result, any Error>
        do {
            result = .success(try await body(elements))
        } catch {
            result = .failure(error)
        }
        task.cancel()
        await task.value
        await client.shutdown()
        return try result.get()
    }
}

/// The elements of a watch, as text: `snapshot a b`, `changed a`, `deleted a`, `disconnected 500`, `resumed`.
actor Elements {
    private var waiting: [String] = []

    func add(_ element: ResourceWatch<Pod>.Element) { waiting.append(Self.text(element)) }

    /// The next element; `nothing` if there is none for ten seconds.
    func next() async -> String {
        for _ in 0..<2000 {
            if !waiting.isEmpty { return waiting.removeFirst() }
            try? await Task.sleep(for: .milliseconds(5))
        }
        return "nothing"
    }

    /// Applies the elements to a set until it is the expected one.
    ///
    /// - Returns: the changes and snapshots.
    func follow(from start: Set<String>, to end: Set<String>) async -> [String] {
        var set = start
        var seen: [String] = []
        while set != end, seen.last != "nothing" {
            let element = await nextChange()
            if element != "resumed" { seen.append(element) }
            let words = element.split(separator: " ").map(String.init)
            switch words[0] {
            case "snapshot": set = Set(words.dropFirst())
            case "changed": set.insert(words[1])
            case "deleted": set.remove(words[1])
            default: break
            }
        }
        return seen
    }

    private static func text(_ element: ResourceWatch<Pod>.Element) -> String {
        switch element {
        case .snapshot(let pods, _): (["snapshot"] + pods.map(\.metadata.name).sorted()).joined(separator: " ")
        case .changed(let pod): "changed \(pod.metadata.name)"
        case .deleted(let pod): "deleted \(pod.metadata.name)"
        case .disconnected(let error): "disconnected \(error.code.map(String.init) ?? "")"
        case .resumed: "resumed"
        case .unreadable: "unreadable"
        }
    }

    func expect(_ element: String, sourceLocation: SourceLocation = #_sourceLocation) async {
        let next = await next()
        #expect(next == element, sourceLocation: sourceLocation)
    }

    /// Skips disconnections: their number depends on timing.
    func nextChange() async -> String {
        while true {
            let element = await next()
            if !element.hasPrefix("disconnected") { return element }
        }
    }
}
