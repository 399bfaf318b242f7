import ControllerTestSupport
import Kubernetes
import StrictJSON
import Testing

/// A list and a watch from its version, whatever the server and the network do.
@Suite(.timeLimit(.minutes(1))) struct ResourceWatchTests {
    private static let enabled: JSONValue = ["kmesh.net/bypass": "enabled"]

    private static func snapshot(_ numbers: Range<Int>) -> String {
        (["snapshot"] + numbers.map { "p\($0)" }).joined(separator: " ")
    }

    private static func put(_ numbers: Range<Int>, into server: APIServer, labels: JSONValue = enabled) {
        for number in numbers { server.put("p\(number)", labels: labels) }
    }

    @Test("A snapshot, then each change; selected objects only")
    func changes() async throws {
        try await APIServer.with { server in
            server.put("a", labels: Self.enabled)
            server.put("elsewhere", node: "node-b", labels: Self.enabled)
            server.put("plain")
            try await server.watching { elements in
                await elements.expect("snapshot a")
                server.put("b", labels: Self.enabled)
                await elements.expect("changed b")
                server.label("plain")
                await elements.expect("changed plain")
                server.annotate("a", ["x": "y"])
                await elements.expect("changed a")
                server.label("a", nil)
                await elements.expect("deleted a")
                server.delete("b")
                await elements.expect("deleted b")
                server.annotate("a", ["x": "z"])
                server.annotate("plain", ["x": "z"])
                await elements.expect("changed plain")
            }
            let watches = server.requests.filter(\.isWatch)
            #expect(watches.count == 1 && server.requests.count == 2)
            #expect(watches[0].query["allowWatchBookmarks"] == "true")
            #expect(server.requests[0].query["resourceVersion"] == "0")
        }
    }

    @Test("A long list comes in pages")
    func pages() async throws {
        try await APIServer.with { server in
            Self.put(100..<125, into: server)
            try await server.watching(pageSize: 10) { elements in
                let all = Self.snapshot(100..<125)
                await elements.expect(all)
                server.delete("p100")
                await elements.expect("deleted p100")
            }
            let rests = server.requests.filter { !$0.isWatch }.map { $0.query["continue"] }
            #expect(rests == [nil, "10@1025", "20@1025"])
        }
    }

    @Test("A list that expires between two pages is started again")
    func expiredPage() async throws {
        try await APIServer.with { server in
            Self.put(100..<115, into: server)
            server.fail(.status(410, "Expired", "The provided continue parameter is too old")) {
                $0.query["continue"] != nil
            }
            try await server.watching(pageSize: 10) { elements in
                let all = Self.snapshot(100..<115)
                await elements.expect(all)
            }
        }
    }

    /// How a watch can break, and whether that needs a new list.
    enum Break: CaseIterable {
        case cleanEnd, cut, gone, goneInStream, errorInStream, garbage, serverError, refused, restart, silenceBetween

        var needsList: Bool {
            switch self {
            case .gone, .goneInStream, .errorInStream: true
            case .cleanEnd, .cut, .garbage, .serverError, .refused, .restart, .silenceBetween: false
            }
        }
    }

    @Test("No change is missed or repeated when a watch breaks", arguments: Break.allCases)
    func breaks(_ kind: Break) async throws {
        try await APIServer.with { server in
            server.put("a", labels: Self.enabled)
            try await server.watching { elements in
                await elements.expect("snapshot a")
                server.put("b", labels: Self.enabled)
                await elements.expect("changed b")
                _ = server.takeRequests()
                // A restart of the server ends the present watch; the fault then hits the next one.
                switch kind {
                case .cleanEnd: server.failWatch(.end)
                case .cut: server.failWatch(after: 1, .cut)
                case .gone: server.fail(.status(410, "Expired", "too old resource version")) { $0.isWatch }
                case .goneInStream: server.failWatch(.error(410, "Expired"))
                case .errorInStream: server.failWatch(.error(500, "InternalError"))
                case .garbage: server.failWatch(.garbage)
                case .serverError: server.fail(.status(500, "InternalError", "etcd is away"), times: 2) { $0.isWatch }
                case .refused: server.fail(.drop, times: 2) { $0.isWatch }
                case .restart: break
                case .silenceBetween: server.fail(.delay(300)) { $0.isWatch }
                }
                await server.stop()
                server.put("c", labels: Self.enabled)
                server.delete("a")
                server.put("d", labels: Self.enabled)
                try await server.start()
                let seen = await elements.follow(from: ["a", "b"], to: ["b", "c", "d"])
                if kind.needsList {
                    #expect(seen.contains("snapshot b c d"), "\(seen)")
                } else {
                    #expect(seen == ["changed c", "deleted a", "changed d"])
                }
                // The watch goes on.
                server.delete("b")
                let last = await elements.follow(from: ["b"], to: [])
                #expect(last == ["deleted b"])
                #expect(server.hasNoFaultsLeft)
            }
        }
    }

    @Test("A version that was compacted meanwhile leads to a new list")
    func compacted() async throws {
        try await APIServer.with { server in
            server.put("a", labels: Self.enabled)
            try await server.watching { elements in
                await elements.expect("snapshot a")
                await server.stop()
                server.put("b", labels: Self.enabled)
                server.delete("a")
                server.compact()
                try await server.start()
                let first = await elements.nextChange()
                #expect(first == "snapshot b")
                // The newest state, not a cached one.
                let list = server.requests.last { !$0.isWatch }
                #expect(list?.query["resourceVersion"] == nil)
            }
        }
    }

    @Test("A bookmark advances the resource version, so that a compaction does no harm")
    func bookmarks() async throws {
        try await APIServer.with(bookmarkInterval: 20) { server in
            server.put("a", labels: Self.enabled)
            try await server.watching { elements in
                await elements.expect("snapshot a")
                // These are not selected by the watch.
                Self.put(0..<20, into: server, labels: [:])
                try await server.waitForBookmark()
                server.compact()
                server.put("b", labels: Self.enabled)
                await elements.expect("changed b")
                let before = server.requests.count
                server.compact()
                try await server.waitForBookmark()
                try await server.restart()
                server.put("c", labels: Self.enabled)
                let first = await elements.nextChange()
                #expect(first == "resumed")
                await elements.expect("changed c")
                let later = server.requests.dropFirst(before)
                #expect(later.filter { !$0.isWatch }.isEmpty)
            }
        }
    }

    @Test("An unreadable object does not hide others")
    func unreadable() async throws {
        try await APIServer.with { server in
            server.put("a", labels: Self.enabled)
            server.put("odd", labels: Self.enabled) { $0.setting("status", "none") }
            try await server.watching { elements in
                await elements.expect("snapshot a")
                server.annotate("odd", ["x": "y"])
                await elements.expect("unreadable")
                server.put("b", labels: Self.enabled)
                await elements.expect("changed b")
            }
        }
    }

    @Test("A list without a resource version is an error, and is retried with a backoff")
    func listWithoutVersion() async throws {
        try await APIServer.with { server in
            server.put("a", labels: Self.enabled)
            server.fail(.answer(["kind": "PodList", "metadata": [:], "items": []]), times: 3)
            try await server.watching { elements in
                for _ in 0..<3 { await elements.expect("disconnected ") }
                await elements.expect("snapshot a")
            }
            #expect(server.requests.count { !$0.isWatch } == 4)
        }
    }

    @Test("Watches that end at once are retried with a backoff")
    func shortWatches() async throws {
        try await APIServer.with { server in
            server.put("a", labels: Self.enabled)
            server.failWatch(.end, times: .max)
            try await server.watching { elements in
                await elements.expect("snapshot a")
                try await Task.sleep(for: .seconds(2))
            }
            let watches = server.requests.count(where: \.isWatch)
            #expect((2...12).contains(watches), "\(watches) in two seconds")
        }
    }

    @Test("Retry-After is respected")
    func retryAfter() async throws {
        try await APIServer.with { server in
            server.put("a", labels: Self.enabled)
            server.fail(.statusWithRetry(429, seconds: 1))
            try await server.watching { elements in
                let start = ContinuousClock.now
                await elements.expect("disconnected 429")
                await elements.expect("snapshot a")
                #expect(start.duration(to: .now) >= .seconds(1))
            }
        }
    }
}
