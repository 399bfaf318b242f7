import NIOCore
import NIOEmbedded
import StrictJSON
import Testing

@testable import BypassAPI
@testable import BypassDaemon

@Suite struct ConnectionLimitTests {
    @Test(
        "Depth and batch are limits that a connection survives",
        arguments: [
            (String(repeating: "[", count: 33) + "\n", "depth"),
            ("[" + Array(repeating: "1", count: 65).joined(separator: ",") + "]\n", "batch"),
        ])
    func survivable(_ line: String, _ name: String) throws {
        let client = try TestClient()
        try client.send(line)
        #expect(try limit(in: client.lines().first) == name)
        try client.send(call("echo", id: 1))
        #expect(try client.ids() == [1])
    }

    @Test("A line too long is answered as soon as it is known, and ends the connection", arguments: [true, false])
    func line(_ clientCloses: Bool) throws {
        let client = try TestClient()
        try client.send(call("echo", id: 1) + String(repeating: "x", count: 65537))
        let lines = client.lines()
        #expect(lines.count == 2)
        #expect(try limit(in: lines.last) == "line")
        #expect(client.socket.isOutputClosed)
        #expect(!client.isClosed, "a client that is still sending gets to read its answer")
        try client.send("xxx\n" + call("echo", id: 2))
        #expect(client.lines() == [], "nothing more is taken")
        if clientCloses { client.shutDownWriting() } else { client.loop.advanceTime(by: .seconds(3)) }
        #expect(client.isClosed)
    }

    @Test("A line of just the limit is taken")
    func longestLine() throws {
        let client = try TestClient()
        let frame = call("echo", id: 1, "").utf8.count - 1
        try client.send(call("echo", id: 1, String(repeating: "x", count: 65536 - frame)))
        #expect(try client.ids() == [1])
    }

    @Test("A line that is begun has to end in time")
    func lineSeconds() throws {
        let client = try TestClient()
        client.loop.advanceTime(by: .minutes(9))
        #expect(!client.isClosed, "a client may be silent between lines")
        try client.send("{")
        client.loop.advanceTime(by: .seconds(29))
        #expect(client.lines() == [])
        try client.send("\"jsonrpc\"")
        client.loop.advanceTime(by: .seconds(2))
        #expect(try limit(in: client.lines().first) == "line-seconds")
        client.loop.advanceTime(by: .seconds(3))
        #expect(client.isClosed)
    }

    @Test("A client that always has a line under way is in time if each of its lines is")
    func busyLines() throws {
        let client = try TestClient()
        try client.send("{")
        for id in 0..<10 {
            client.loop.advanceTime(by: .seconds(20))
            try client.send(call("echo", id: id).dropFirst() + "{")
            #expect(try client.ids() == [JSONValue.number(JSONNumber(id))])
        }
    }

    @Test("A line that is begun while a request is carried out has to end, too")
    func lineBehindASlowRequest() throws {
        let client = try TestClient()
        try client.send("{")
        client.loop.advanceTime(by: .seconds(20))
        try client.send(call("slow", id: 1).dropFirst() + "{")
        client.loop.advanceTime(by: .seconds(20))
        client.slow.finishOne()
        #expect(try client.ids() == [1])
        client.loop.advanceTime(by: .seconds(31))
        #expect(try limit(in: client.lines().first) == "line-seconds")
    }

    @Test("More answers than the socket takes at once all arrive, in order", arguments: [false, true])
    func answersBeyondTheWaterMark(_ halfCloses: Bool) throws {
        let client = try TestClient()
        let text = String(repeating: "x", count: 3000)
        try client.socket.setRoom(10_000, client.channel)
        try client.send((1...100).map { call("echo", id: $0, text) }.joined())
        if halfCloses { client.shutDownWriting() }
        #expect(!client.isClosed)
        var received = client.socket.takeReceived()
        for _ in 0..<40 {
            try client.socket.setRoom(10_000, client.channel)
            received += client.socket.takeReceived()
        }
        let ids = try received.split(separator: "\n").map { line in
            try JSONReader.read(String(line)).object?["id"]
        }
        #expect(ids == (1...100).map { .number(JSONNumber($0)) })
        #expect(client.isClosed == halfCloses)
    }

    @Test("Answers that are ready at once do not pile up on the stack")
    func noRecursion() throws {
        let client = try TestClient()
        try client.send((1...20_000).map { call("refused", id: $0) }.joined())
        #expect(try client.ids().count == 20_000)
    }

    @Test("Nothing more is read while a client's requests wait")
    func backPressure() throws {
        let client = try TestClient()
        let reads = ReadCounter()
        try client.channel.pipeline.syncOperations.addHandler(reads, position: .first)
        try client.send(call("slow", id: 0))
        for id in 1...3 { try client.send(call("echo", id: id, String(repeating: "x", count: 30_000))) }
        client.channel.read()
        #expect(reads.count == 0)
        client.slow.finishOne()
        #expect(reads.count > 0)
        #expect(try client.ids() == [0, 1, 2, 3])
    }

    /// Counts what asks the socket for more.
    private final class ReadCounter: ChannelOutboundHandler {
        typealias OutboundIn = Never
        private(set) var count = 0

        func read(context: ChannelHandlerContext) {
            count += 1
            context.read()
        }
    }
}
