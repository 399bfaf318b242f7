import BypassAPI
import JSONRPC
import Linux
import StrictJSON
import Testing

@testable import BypassDaemon

extension ServerTests {
    @Suite struct ConnectionEndTests {
        /// Asks all connections to end, and waits for that after `body`.
        private func shutDown(_ server: TestServer, _ body: () throws -> Void) throws {
            server.connections.closeAll(within: .milliseconds(0))
            try body()
            server.connections.closeAll(within: .seconds(20))
            #expect(server.connections.count == 0)
        }

        @Test("Asked to end, an idle connection shuts down writing and then closes", arguments: [false, true])
        func idle(_ clientCloses: Bool) throws {
            try TestServer.with { server in
                let client = try server.connect()
                client.send(call("echo", id: 1))
                #expect(try client.ids(1) == [1])
                try shutDown(server) {
                    let rest = try client.remainingLines()
                    #expect(rest == [])
                    if clientCloses { client.goAway() }
                }
            }
        }

        @Test("Asked to end, what was begun is answered, and what waits behind it is not begun")
        func busy() throws {
            try TestServer.with { server in
                let client = try server.connect()
                client.send(call("slow", id: 1, "begun") + call("slow", id: 2, "waiting"))
                #expect(server.slow.texts(1) == ["begun"])
                try shutDown(server) {
                    server.slow.finishOne()
                    let lines = try client.remainingLines()
                    #expect(try lines.map { try JSONReader.read($0).object?["id"] } == [1])
                    #expect(server.slow.texts == [])
                    client.goAway()
                }
            }
        }

        @Test("A batch that was begun is executed to its end")
        func busyBatch() throws {
            try TestServer.with { server in
                let client = try server.connect()
                client.send(batch([call("slow", id: 1, "a"), call("slow", id: 2, "b")]))
                #expect(server.slow.texts(1) == ["a"])
                try shutDown(server) {
                    server.slow.finishOne()
                    server.slow.finishOne()
                    let lines = try client.remainingLines()
                    #expect(try lines.map { try JSONReader.read($0).array?.count } == [2])
                    client.goAway()
                }
            }
        }

        @Test("The grace for connections that do not end is bounded")
        func grace() throws {
            try TestServer.with { server in
                let client = try server.connect()
                client.send(call("slow", id: 1))
                #expect(server.slow.texts(1) == ["x"])
                let began = Instant.now
                server.connections.closeAll(within: .milliseconds(100))
                #expect(Instant.now - began >= .milliseconds(100))
                #expect(server.connections.count == 1)
                server.slow.finishOne()
                #expect(try client.ids(1) == [1])
            }
        }

        @Test("A client that goes away while its request is executed harms no other")
        func goneClient() throws {
            try TestServer.with { server in
                let (client, other) = (try server.connect(), try server.connect())
                client.send(call("slow", id: 1) + call("echo", id: 2))
                #expect(server.slow.texts(1) == ["x"])
                client.goAway()
                other.send(call("echo", id: 3))
                #expect(try other.ids(1) == [3])
                // Its answer is written to a socket that no one reads: that must not raise SIGPIPE.
                server.slow.finishOne()
                server.waitForConnections(1)
                other.send(call("echo", id: 4))
                #expect(try other.ids(1) == [4])
            }
        }

        @Test("A client that goes away before it asks anything frees its place")
        func goneAtOnce() throws {
            try TestServer.with { server in
                for _ in 0..<10 { try server.connect().goAway() }
                server.waitForConnections(0)
            }
        }
    }
}
