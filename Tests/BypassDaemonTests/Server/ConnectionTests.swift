import BypassAPI
import JSONRPC
import Linux
import StrictJSON
import Testing

@testable import BypassDaemon

extension ServerTests {
    @Suite struct ConnectionTests {
        @Test("A line gets one line of compact JSON")
        func oneLine() throws {
            try TestServer.with { server in
                let client = try server.connect()
                client.send(call("echo", id: 1, "hello"))
                #expect(try client.line() == #"{"jsonrpc":"2.0","id":1,"result":{"text":"hello"}}"#)
                #expect(server.connections.count == 1)
            }
        }

        @Test("Pipelined requests are executed and answered in their order, one at a time")
        func pipelined() throws {
            try TestServer.with { server in
                let client = try server.connect()
                client.send(
                    call("slow", id: 1, "a") + call("echo", id: 2) + call("slow", id: 3, "b") + call("echo", id: 4))
                #expect(server.slow.texts(1) == ["a"])
                server.slow.finishOne()
                #expect(try client.ids(2) == [1, 2], "what is done is sent, whatever comes after it")
                #expect(server.slow.texts(1) == ["b"])
                server.slow.finishOne()
                #expect(try client.ids(2) == [3, 4])
            }
        }

        @Test("A request may come in any pieces")
        func pieces() throws {
            try TestServer.with { server in
                let client = try server.connect()
                for character in call("echo", id: 1) { client.send(String(character)) }
                #expect(try client.ids(1) == [1])
            }
        }

        @Test("CRLF ends a line and blank lines are skipped")
        func lineEnds() throws {
            try TestServer.with { server in
                let client = try server.connect()
                client.send("\n\r\n  \n" + call("echo", id: 1).dropLast() + "\r\n\r\n" + call("echo", id: 2))
                #expect(try client.ids(2) == [1, 2])
            }
        }

        @Test("A last line without LF is answered when the client has shut down writing, and then it closes")
        func lastLine() throws {
            try TestServer.with { server in
                let client = try server.connect()
                client.send(call("echo", id: 1) + call("echo", id: 2).dropLast())
                #expect(try client.ids(1) == [1])
                client.shutDownWriting()
                #expect(try client.ids(1) == [2])
                #expect(try client.remainingLines() == [])
            }
        }

        @Test("A client that has shut down writing waits for what takes long")
        func halfClosed() throws {
            try TestServer.with { server in
                let client = try server.connect()
                client.send(call("slow", id: 1, "a") + call("slow", id: 2, "b"))
                client.shutDownWriting()
                #expect(server.slow.texts(1) == ["a"])
                server.slow.finishOne()
                server.slow.finishOne()
                #expect(try client.ids(2) == [1, 2])
                #expect(try client.remainingLines() == [])
            }
        }

        @Test("A notification is executed and not answered, not even with an error")
        func notifications() throws {
            try TestServer.with { server in
                let client = try server.connect()
                client.send(call("slow", id: nil, "a"))
                #expect(server.slow.texts(1) == ["a"])
                server.slow.finishOne()
                client.send(call("nonsense", id: nil) + call("refused", id: nil) + batch([call("echo", id: nil)]))
                client.send(call("echo", id: 7))
                #expect(try client.ids(1) == [7])
            }
        }

        @Test("A batch is answered as one array, without its notifications")
        func batches() throws {
            try TestServer.with { server in
                let client = try server.connect()
                client.send(
                    batch([
                        call("slow", id: 1), call("echo", id: nil), call("nonsense", id: 2), "7", call("echo", id: 3),
                    ]))
                server.slow.finishOne()
                let answers = try JSONReader.read(try client.line()).array ?? []
                #expect(answers.map { $0.object?["id"] } == [1, 2, .null, 3])
                #expect(answers.map { $0.object?["error"]?.object?["code"] } == [nil, -32601, -32600, nil])
            }
        }

        @Test(
            "What is refused says why, with the id that it came with",
            arguments: [
                ("nonsense\n", -32700, JSONValue.null), ("[]\n", -32600, .null), ("{\"id\":5}\n", -32600, 5),
                ("{\"jsonrpc\":\"2.0\",\"id\":\"a\",\"method\":\"nonsense\"}\n", -32601, "a"),
                ("{\"jsonrpc\":\"2.0\",\"id\":6,\"method\":\"echo\",\"params\":[1]}\n", -32602, 6),
                (
                    "{\"jsonrpc\":\"2.0\",\"id\":6,\"method\":\"echo\",\"params\":{\"text\":\"a\",\"more\":1}}\n",
                    -32602, 6
                ),
                ("{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"refused\",\"params\":[\"no\"]}\n", -32602, 7),
            ])
        func refusals(_ line: String, _ code: Int, _ id: JSONValue) throws {
            try TestServer.with { server in
                let client = try server.connect()
                client.send(line)
                let answer = try JSONReader.read(try client.line()).object
                #expect(answer?["id"] == id)
                #expect(answer?["error"]?.object?["code"] == .number(JSONNumber(code)))
                client.send(call("echo", id: 8))
                #expect(try client.ids(1) == [8], "the connection goes on")
            }
        }

        @Test("What a call leaves for later is done after its answer, in order, also when the client does not read")
        func afterAnswer() throws {
            try TestServer.with { server in
                let client = try server.connect()
                client.send(batch(["a", "b", "c"].map { call("later", id: 1, $0) }))
                _ = try client.line()
                #expect(server.later.wait(until: testDeadline()) { $0.count == 3 ? $0 : nil } == ["a", "b", "c"])

                let stuck = try server.connect(room: 4096)
                stuck.send(batch([call("later", id: 1, "d")] + (2...5).map { call("long", id: $0) }))
                #expect(server.later.wait(until: testDeadline()) { $0.count == 4 ? $0.last : nil } == "d")
            }
        }
    }
}
