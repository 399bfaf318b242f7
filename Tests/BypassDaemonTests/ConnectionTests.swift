import JSONRPC
import NIOCore
import NIOEmbedded
import StrictJSON
import Testing

@testable import BypassAPI
@testable import BypassDaemon

@Suite struct ConnectionTests {
    @Test("A line gets one line of compact JSON")
    func oneLine() throws {
        let client = try TestClient()
        try client.send(call("echo", id: 1, "hello"))
        #expect(client.lines() == [#"{"jsonrpc":"2.0","id":1,"result":{"text":"hello"}}"#])
        #expect(!client.isClosed)
    }

    @Test("Pipelined requests are carried out and answered in their order, one at a time")
    func pipelined() throws {
        let client = try TestClient()
        try client.send(call("slow", id: 1, "a") + call("echo", id: 2) + call("slow", id: 3, "b") + call("echo", id: 4))
        #expect(client.slow.texts == ["a"])
        #expect(try client.ids() == [])
        client.slow.finishOne()
        #expect(client.slow.texts == ["b"])
        #expect(try client.ids() == [1, 2], "what is done is sent, whatever comes after it")
        client.slow.finishOne()
        #expect(try client.ids() == [3, 4])
    }

    @Test("A request may come in any pieces")
    func pieces() throws {
        let client = try TestClient()
        for character in call("echo", id: 1) {
            #expect(try client.ids() == [])
            try client.send(String(character))
        }
        #expect(try client.ids() == [1])
    }

    @Test("CRLF ends a line and blank lines are skipped")
    func lineEnds() throws {
        let client = try TestClient()
        try client.send("\n\r\n  \n" + call("echo", id: 1).dropLast() + "\r\n\r\n" + call("echo", id: 2))
        #expect(try client.ids() == [1, 2])
    }

    @Test("A last line without LF is answered when the client has shut down writing, and then it closes")
    func lastLine() throws {
        let client = try TestClient()
        try client.send(call("echo", id: 1) + call("echo", id: 2).dropLast())
        #expect(try client.ids() == [1])
        client.shutDownWriting()
        #expect(try client.ids() == [2])
        #expect(client.isClosed)
    }

    @Test("A client that has shut down writing waits for what takes long")
    func halfClosed() throws {
        let client = try TestClient()
        try client.send(call("slow", id: 1) + call("slow", id: 2))
        client.shutDownWriting()
        #expect(!client.isClosed)
        client.slow.finishOne()
        #expect(!client.isClosed)
        client.slow.finishOne()
        #expect(try client.ids() == [1, 2])
        #expect(client.isClosed)
    }

    @Test("A notification is carried out and not answered, not even with an error")
    func notifications() throws {
        let client = try TestClient()
        try client.send(call("slow", id: nil, "a"))
        #expect(client.slow.texts == ["a"])
        client.slow.finishOne()
        try client.send(
            call("nonsense", id: nil) + call("refused", id: nil) + "[\(call("echo", id: nil).dropLast())]\n")
        try client.send(call("echo", id: 7))
        #expect(try client.ids() == [7])
    }

    @Test("A batch is answered as one array, without its notifications")
    func batches() throws {
        let client = try TestClient()
        let entries = [call("slow", id: 1), call("echo", id: nil), call("nonsense", id: 2), "7", call("echo", id: 3)]
        try client.send("[" + entries.map { $0.filter { $0 != "\n" } }.joined(separator: ",") + "]\n")
        #expect(client.lines() == [])
        client.slow.finishOne()
        let lines = client.lines()
        try #require(lines.count == 1)
        let answers = try JSONReader.read(lines[0]).array ?? []
        #expect(answers.map { $0.object?["id"] } == [1, 2, .null, 3])
        #expect(answers.map { $0.object?["error"]?.object?["code"] } == [nil, -32601, -32600, nil])
    }

    @Test(
        "What is refused says why, with the id that it came with",
        arguments: [
            ("nonsense\n", -32700, JSONValue.null), ("[]\n", -32600, .null), ("{\"id\":5}\n", -32600, 5),
            ("{\"jsonrpc\":\"2.0\",\"id\":\"a\",\"method\":\"nonsense\"}\n", -32601, "a"),
            ("{\"jsonrpc\":\"2.0\",\"id\":6,\"method\":\"echo\",\"params\":[1]}\n", -32602, 6),
            ("{\"jsonrpc\":\"2.0\",\"id\":6,\"method\":\"echo\",\"params\":{\"text\":\"a\",\"more\":1}}\n", -32602, 6),
            ("{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"refused\",\"params\":[\"no\"]}\n", -32602, 7),
        ])
    func refusals(_ line: String, _ code: Int, _ id: JSONValue) throws {
        let client = try TestClient()
        try client.send(line)
        let answer = try Response.read(client.lines().joined().utf8Span.span)
        #expect(answer.id == RequestID(id))
        guard case .failure(let error) = answer.outcome else {
            Issue.record("not refused")
            return
        }
        #expect(error.code == code)
        try client.send(call("echo", id: 8))
        #expect(try client.ids() == [8], "the connection goes on")
    }
}
