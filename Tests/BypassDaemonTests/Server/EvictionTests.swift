import BypassAPI
import JSONRPC
import Linux
import StrictJSON
import Testing

@testable import BypassDaemon

extension ServerTests {
    /// Connections that end, or do not begin, since there is no room for all.
    @Suite struct EvictionTests {
        private static func with(_ connections: Int, _ body: (TestServer) throws -> Void) throws {
            try TestServer.with {
                $0.connections = connections
            } _: {
                try body($0)
            }
        }

        /// A client whose connection has answered, so that its idle time has begun.
        private func connect(_ server: TestServer, _ uid: UInt32) throws -> TestClient {
            let client = try server.connect(uid: uid)
            client.send(call("echo", id: 0))
            #expect(try client.ids(1) == [0])
            return client
        }

        /// Connects as one user after the other, and has the first connection be the last that is idle.
        private func connect(_ server: TestServer, inTurn uids: [UInt32]) throws -> [TestClient] {
            let clients = try uids.map { uid in
                let client = try connect(server, uid)
                expectIdle(server)
                return client
            }
            clients[0].send(call("echo", id: 1))
            #expect(try clients[0].ids(1) == [1])
            expectIdle(server)
            return clients
        }

        /// A client has its answer a moment before its connection is idle.
        private func expectIdle(_ server: TestServer) {
            #expect(eventually { server.connections.isIdle })
        }

        @Test("A client whose place another user gets learns why")
        func reason() throws {
            try Self.with(2) { server in
                let greedy = try connect(server, inTurn: [7, 7])
                let newcomer = try server.connect(uid: 8)
                newcomer.send(call("echo", id: 2))
                #expect(try newcomer.ids(1) == [2])
                #expect(try limit(in: greedy[1].line()) == "connections")
                #expect(try greedy[1].remainingLines() == [])
                greedy[1].goAway()
                server.waitForConnections(2)
                greedy[0].send(call("echo", id: 3))
                #expect(try greedy[0].ids(1) == [3])
                #expect(server.log.lines == ["connection ended in favour of another user's limit=connections uid=7"])
            }
        }

        @Test("Where every user has one, the longest idle gives way")
        func longestIdle() throws {
            try Self.with(2) { server in
                let clients = try connect(server, inTurn: [7, 8])
                _ = try connect(server, 9)
                #expect(try limit(in: clients[1].line()) == "connections")
            }
        }

        @Test("What was begun is answered first, and what waits behind it is not begun")
        func busy() throws {
            try Self.with(2) { server in
                let greedy = try [server.connect(uid: 7), server.connect(uid: 7)]
                for client in greedy { client.send(call("slow", id: 1, "begun") + call("slow", id: 2, "waiting")) }
                #expect(server.slow.texts(2) == ["begun", "begun"])
                let newcomer = try server.connect(uid: 8)
                newcomer.send(call("echo", id: 2))
                #expect(try newcomer.ids(1) == [2])
                server.slow.finishOne()
                server.slow.finishOne()
                #expect(server.slow.texts(1) == ["waiting"], "of the one that goes on")
                let first = try greedy.map { try $0.line() }
                #expect(first.allSatisfy { $0.contains("\"result\"") })
                server.slow.finishOne()
                let second = try greedy.map { try $0.line() }
                #expect(second.count { $0.contains("\"result\"") } == 1)
                #expect(try second.compactMap { try limit(in: $0) } == ["connections"])
            }
        }

        @Test("A refused client learns why, no matter what it has sent, and does not stay")
        func refused() throws {
            try Self.with(1) { server in
                let first = try connect(server, 7)
                let client = try server.connect(uid: 7)
                client.send(call("slow", id: 1))
                #expect(try limit(in: client.line()) == "connections")
                #expect(try client.remainingLines() == [])
                client.goAway()
                server.waitForConnections(1)
                #expect(server.slow.texts == [])
                first.goAway()
                server.waitForConnections(0)
                _ = try connect(server, 7)
            }
        }

        @Test("A refused client that neither reads nor closes does not stay")
        func refusedAndSilent() throws {
            try Self.with(1) { server in
                let first = try connect(server, 7)
                let client = try server.connect(uid: 7)
                server.waitForConnections(1)
                #expect(try limit(in: client.line()) == "connections")
                #expect(!first.isClosed)
            }
        }

        @Test("Many refused clients do not stay at all, and learn why, too")
        func flood() throws {
            try Self.with(1) { server in
                let first = try connect(server, 7)
                let clients = try (0..<200).map { _ in try server.connect(uid: 7) }
                #expect(server.connections.count <= 1 + ConnectionLimiter.maxLingering)
                for client in clients { #expect(try limit(in: client.line()) == "connections") }
                #expect(!first.isClosed)
                #expect(server.log.lines.first == "connection refused limit=connections uid=7")
                #expect(server.log.lines.count <= 3)
            }
        }

        @Test("Evicted clients that do not read do not keep their threads, however many there are")
        func evictedAndSilent() throws {
            try TestServer.with {
                ($0.connections, $0.userConnections) = (100, 100)
            } _: { server in
                // Subscribers that are behind: their threads wait until the client reads.
                let silent = try (0..<100).map { _ in try server.connect(uid: 7, room: 4096) }
                for client in silent {
                    client.send(call("subscribe", id: 1))
                    #expect(try client.ids(1) == [1])
                }
                server.publish(5, reason: String(repeating: "x", count: 30_000))
                let newcomers = try (0..<99).map { try connect(server, 1000 + $0) }
                let expected = 100 + ConnectionLimiter.maxLingering
                #expect(eventually { server.connections.count <= expected }, "\(server.connections.count) threads")
                for client in silent + newcomers { client.goAway() }
            }
        }
    }
}
