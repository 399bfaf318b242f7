import BypassAPI
import JSONRPC
import Linux
import StrictJSON
import Testing

@testable import BypassDaemon

extension ServerTests {
    /// A client that does not read its answers.
    @Suite struct UnreadTests {
        /// With one second until a client that does not read is cut off.
        private static func with(_ body: (TestServer) throws -> Void) throws {
            try TestServer.with {
                $0.unreadSeconds = 1
            } _: {
                try body($0)
            }
        }

        @Test("It is cut off when the time is up, and that is logged once", arguments: [false, true])
        func cutOff(_ halfCloses: Bool) throws {
            try Self.with { server in
                let client = try server.connect(uid: 7, room: 10_000)
                let began = Instant.now
                client.send((1...20).map { call("long", id: $0) }.joined())
                if halfCloses { client.shutDownWriting() }
                server.waitForConnections(0)
                #expect(Instant.now - began >= .seconds(1))
                #expect(server.log.lines == ["connection cut off limit=unread-seconds uid=7"])
            }
        }

        @Test("One that does not read the answers to a batch is cut off once, too")
        func cutOffInBatch() throws {
            try Self.with { server in
                let client = try server.connect(uid: 7, room: 10_000)
                client.send(batch((1...20).map { call("long", id: $0) }))
                server.waitForConnections(0)
                #expect(server.log.lines == ["connection cut off limit=unread-seconds uid=7"])
                #expect(client.isClosed == false)
            }
        }

        @Test("The last answers have to be read in time, too, though they are few", arguments: [false, true])
        func lastAnswers(_ halfCloses: Bool) throws {
            try Self.with { server in
                let client = try server.connect(uid: 7, room: 4096)
                client.send(call("slow", id: 1) + call("long", id: 2))
                #expect(server.slow.texts(1) == ["x"])
                if halfCloses { client.shutDownWriting() }
                server.slow.finishOne()
                server.waitForConnections(0)
                #expect(server.log.lines == ["connection cut off limit=unread-seconds uid=7"])
            }
        }

        @Test("A subscriber that does not read an answer is cut off, though its events may wait")
        func subscriber() throws {
            try Self.with { server in
                let client = try server.connect(uid: 7, room: 10_000)
                client.send(call("subscribe", id: 1))
                #expect(try client.ids(1) == [1])
                client.send(call("long", id: 2) + call("slow", id: 3))
                server.publish(3)
                server.waitForConnections(0)
                #expect(server.log.lines == ["connection cut off limit=unread-seconds uid=7"])
            }
        }

        @Test("One that reads late gets everything")
        func late() throws {
            try TestServer.with {
                $0.unreadSeconds = 5
            } _: { server in
                let client = try server.connect(uid: 7, room: 10_000)
                client.send((1...20).map { call("long", id: $0) }.joined())
                let soon = Instant.now + .milliseconds(300)
                _ = Monitor(false).wait(until: soon) { $0 ? () : nil }
                #expect(try client.ids(20) == (1...20).map { .number(JSONNumber($0)) })
                client.send(call("echo", id: 21))
                #expect(try client.ids(1) == [21])
                #expect(server.log.lines == [])
            }
        }

        @Test("One that reads a little now and then is not cut off")
        func slow() throws {
            try Self.with { server in
                let client = try server.connect(uid: 7, room: 10_000)
                let began = Instant.now
                client.send((1...20).map { call("long", id: $0) }.joined())
                for id in 1...20 {
                    #expect(try client.ids(1) == [.number(JSONNumber(id))])
                    let next = began + .milliseconds(100 * id)
                    _ = Monitor(false).wait(until: next) { $0 ? () : nil }
                }
                #expect(Instant.now - began >= .seconds(2))
                #expect(server.log.lines == [])
            }
        }

        @Test("The answers to a batch are not all kept, and arrive as one array")
        func batches() throws {
            try Self.with { server in
                let client = try server.connect(uid: 7)
                client.send(batch((1...39).map { call("long", id: $0) } + [call("slow", id: 40)]))
                // Most of it has been sent before the last call is executed.
                let slow = server.slow
                try Thread.start("finisher") { slow.finishOne() }
                let answers = try JSONReader.read(try client.line()).array ?? []
                #expect(answers.map { $0.object?["id"] } == (1...40).map { .number(JSONNumber($0)) })
            }
        }
    }
}
