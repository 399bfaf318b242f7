import BypassAPI
import JSONRPC
import StrictJSON
import Synchronization
import Testing

@testable import BypassClient

@Suite struct BypassWatchTests {
    private static func bypass(_ netns: String) -> String {
        """
        {"netns":"\(netns)","inode":1,"state":"on","effective":true,"direction":"both","since":null,"expiresAt":null,\
        "owner":null,"reason":null,"setBy":null,"generation":1,"rules":[],"warnings":[]}
        """
    }

    private static func event(_ name: String, _ sequence: Int) -> String {
        #"{"jsonrpc":"2.0","method":"\#(name)","params":{"sequence":\#(sequence),"bypass":\#(bypass("n\(sequence)"))}}"#
    }

    private static func answer(_ request: Request, _ sequence: Int, snapshot: Bool) -> String {
        let bypasses = snapshot ? "[\(bypass("old"))]" : "null"
        return request.answer(result: #"{"stream":"s","sequence":\#(sequence),"bypasses":\#(bypasses)}"#)
    }

    private static func kind(_ element: BypassWatch.Element?) -> String {
        switch element {
        case .snapshot: "snapshot"
        case .change(let name, _): name.rawValue
        case .disconnected(.invalidAnswer): "invalid"
        case .disconnected(.refused(let error)): "limit \(error.details?.limit ?? "")"
        case .disconnected(let error): "\(error)"
        case .resumed: "resumed"
        case nil: "the end"
        }
    }

    /// Answers each connection's subscription with what is next, and ends the connection after it.
    private func watch(
        _ connections: [@Sendable (Request) -> [String]], _ body: (inout BypassWatch.Iterator) async throws -> Void
    ) async throws -> [JSONValue?] {
        let turn = Mutex(0)
        let seen = Mutex<[JSONValue?]>([])
        let server = TestServer { requests in
            guard let request = requests.last else { return .nothing }
            var params: JSONValue?
            if case .named(let names) = request.params { params = .object(names) }
            seen.withLock { [params] in $0.append(params) }
            let number = turn.withLock { turn in
                defer { turn += 1 }
                return turn
            }
            guard number < connections.count else { return .nothing }
            return .closing(connections[number](request).map { $0 + "\n" }.joined())
        }
        try await server.run { client in
            var iterator = BypassWatch(client.path).makeAsyncIterator()
            try await body(&iterator)
        }
        return seen.withLock(\.self)
    }

    @Test func `A snapshot comes first, then each change; who comes back goes on where it was`() async throws {
        let asked = try await watch([
            { [Self.answer($0, 4, snapshot: true), Self.event("on", 5), Self.event("expired", 6)] },
            { [Self.answer($0, 6, snapshot: false), Self.event("gone", 7)] },
        ]) { watch in
            var names: [String] = []
            for _ in 0..<6 {
                switch await watch.next() {
                case .snapshot(let list): names.append("snapshot of " + list.bypasses.map(\.netns).joined())
                case .change(let name, let event): names.append("\(name) \(event.bypass.netns)")
                case .disconnected: names.append("disconnected")
                case .resumed: names.append("resumed")
                case nil: names.append("the end")
                }
            }
            #expect(names == ["snapshot of old", "on n5", "expired n6", "disconnected", "resumed", "gone n7"])
        }
        #expect(asked.first == .some(nil))
        #expect(asked.dropFirst().first == ["stream": "s", "sequence": 6])
    }

    @Test(arguments: [event("on", 6), event("melted", 5), #"{"jsonrpc":"2.0","method":"on","params":{}}"#])
    func `What does not follow is not taken, and everything begins again`(line: String) async throws {
        let asked = try await watch([
            { [Self.answer($0, 4, snapshot: true), line] }, { [Self.answer($0, 9, snapshot: true)] },
        ]) { watch in
            var kinds: [String] = []
            for _ in 0..<3 { kinds.append(Self.kind(await watch.next())) }
            #expect(kinds == ["snapshot", "invalid", "snapshot"])
        }
        #expect(asked == [nil, nil])
    }

    @Test func `It reports that the daemon has cut it off, and comes back`() async throws {
        let data = #""data":{"kind":"limit-exceeded","limit":"events"}"#
        let cutOff = #"{"jsonrpc":"2.0","id":null,"error":{"code":-32007,"message":"m",\#(data)}}"#
        _ = try await watch([
            { [Self.answer($0, 4, snapshot: true), cutOff] }, { [Self.answer($0, 9, snapshot: true)] },
        ]) { watch in
            var kinds: [String] = []
            for _ in 0..<3 { kinds.append(Self.kind(await watch.next())) }
            #expect(kinds == ["snapshot", "limit events", "snapshot"])
        }
    }

    @Test func `A task that is cancelled waits no longer`() async throws {
        try await TestServer { requests in
            requests.last.map { .send([Self.answer($0, 4, snapshot: true)]) } ?? .nothing
        }.run { client in
            let path = client.path
            let task = Task {
                var watch = BypassWatch(path).makeAsyncIterator()
                _ = await watch.next()
                return await watch.next()
            }
            try await Task.sleep(for: .milliseconds(50))
            task.cancel()
            #expect(await task.value == nil)
        }
    }
}
