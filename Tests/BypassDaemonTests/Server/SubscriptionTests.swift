import BypassAPI
import JSONRPC
import Linux
import StrictJSON
import Testing

@testable import BypassDaemon

extension ServerTests {
    /// What a client is sent that has subscribed.
    @Suite struct SubscriptionTests {
        private static let long = String(repeating: "x", count: 30_000)

        private static func with(keeping events: Int = 8, _ body: (TestServer) throws -> Void) throws {
            try TestServer.with {
                ($0.events, $0.unreadSeconds) = (events, 1)
            } _: {
                try body($0)
            }
        }

        private func subscribe(_ server: TestServer, _ uid: UInt32 = 7, room: Int32? = nil) throws -> TestClient {
            let client = try server.connect(uid: uid, room: room)
            client.send(call("subscribe", id: 1))
            #expect(try client.ids(1) == [1])
            return client
        }

        /// The numbers of the events among lines, nil for other lines.
        private func sequences(_ lines: [String]) throws -> [Int?] {
            try lines.map { line in
                let params = try JSONReader.read(line).object?["params"]
                guard case .number(let number) = params?.object?["sequence"] else { return nil }
                return Int(exactly: number)
            }
        }

        @Test("Events come after the answer, in their order, as notifications with the object of the contract")
        func order() throws {
            try Self.with { server in
                server.publish(2)
                let client = try server.connect(uid: 7)
                server.publish(1)
                client.send(call("subscribe", id: 1))
                #expect(try client.ids(1) == [1])
                server.publish(2)
                server.events.publish(.expired, .sample(0))
                server.events.wakeSubscribers()
                let lines = try client.lines(3)
                #expect(try sequences(lines) == [4, 5, 6])
                let last = try JSONReader.read(lines[2]).object
                #expect(last?["method"] == "expired" && last?["jsonrpc"] == "2.0" && last?["id"] == nil)
                #expect(last?["params"]?.object?["bypass"]?.object?["netns"] == "n0")
                client.send(call("echo", id: 2))
                #expect(try client.ids(1) == [2])
            }
        }

        @Test("Nothing comes in the middle of an answer, and nothing is lost while one is waited for")
        func between() throws {
            try Self.with { server in
                let client = try subscribe(server)
                client.send(batch([call("slow", id: 2), call("echo", id: 3)]))
                #expect(server.slow.texts(1) == ["x"])
                server.publish(2)
                server.slow.finishOne()
                let lines = try client.lines(3)
                #expect(try JSONReader.read(lines[0]).array?.count == 2)
                #expect(try sequences(Array(lines.dropFirst())) == [1, 2])
            }
        }

        @Test("A slow reader gets what it missed as long as it is kept, and is not cut off for it")
        func slow() throws {
            try Self.with { server in
                let client = try subscribe(server, room: 10_000)
                server.publish(8, reason: Self.long)
                // Longer than an answer may stay unread.
                let later = Instant.now + .milliseconds(1500)
                _ = Monitor(false).wait(until: later) { $0 ? () : nil }
                #expect(try sequences(client.lines(8)) == (1...8).map { $0 })
                client.send(call("echo", id: 2))
                #expect(try client.ids(1) == [2])
                #expect(server.log.lines == [])
            }
        }

        @Test("One that is too slow gets an error at the end of its events, and is cut off; no other client notices")
        func tooSlow() throws {
            try Self.with { server in
                let (slow, quick) = (try subscribe(server, room: 10_000), try subscribe(server, 8))
                for number in 1...20 {
                    server.publish(1, reason: Self.long)
                    #expect(try sequences(quick.lines(1)) == [number])
                }
                let lines = try slow.remainingLines()
                let seen = try sequences(lines.dropLast())
                #expect(seen == (1...max(seen.count, 1)).map { $0 } && seen.count < 12)
                #expect(try limit(in: lines.last) == "events")
                quick.send(call("echo", id: 2))
                #expect(try quick.ids(1) == [2])
                #expect(server.log.lines == ["connection cut off limit=events uid=7"])
            }
        }

        @Test("One that is too slow and never reads again does not keep its place")
        func neverReads() throws {
            try Self.with { server in
                let client = try subscribe(server, room: 10_000)
                // The first one is sent in part before the others come.
                server.publish(1, reason: Self.long)
                client.waitForInput()
                server.publish(20, reason: Self.long)
                server.waitForConnections(0)
                #expect(server.log.lines.contains("connection cut off limit=unread-seconds uid=7"))
                #expect(!client.isClosed)
            }
        }

        @Test("A subscriber that goes away is forgotten")
        func gone() throws {
            try Self.with { server in
                let (client, other) = (try subscribe(server), try subscribe(server))
                client.goAway()
                server.waitForConnections(1)
                server.publish(3)
                #expect(try sequences(other.lines(3)) == [1, 2, 3])
            }
        }

        @Test("Many events at once reach many subscribers, all and in order")
        func many() throws {
            try Self.with(keeping: 1024) { server in
                let clients = try (0..<8).map { _ in try subscribe(server) }
                let publishers = try (0..<2).map { _ in try Thread.start("publisher") { server.publish(200) } }
                for client in clients { #expect(try sequences(client.lines(400)) == (1...400).map { $0 }) }
                for publisher in publishers { publisher.join() }
            }
        }
    }
}
