import NIOCore
import NIOEmbedded
import StrictJSON
import Testing

@testable import BypassDaemon

/// A client that does not read its answers.
@Suite struct UnreadTests {
    private let house = TestHouse()

    /// A client that does not read, and has asked for more than is kept for it.
    private func stuck() throws -> TestClient {
        let client = try TestClient(user: 7, house: house)
        try client.socket.setRoom(0, client.channel)
        try client.send((1...20).map { call("long", id: $0) }.joined())
        return client
    }

    @Test("It is cut off when the time is up", arguments: [false, true])
    func cutOff(_ halfCloses: Bool) throws {
        let client = try stuck()
        if halfCloses { client.shutDownWriting() }
        client.loop.advanceTime(by: .seconds(29))
        #expect(!client.isClosed)
        client.loop.advanceTime(by: .seconds(1))
        #expect(client.isClosed)
        #expect(house.log.lines == ["connection cut off limit=unread-seconds uid=7"])
    }

    @Test("The last answers have to be read in time, too, though they are few", arguments: [false, true])
    func lastAnswers(_ halfCloses: Bool) throws {
        let client = try TestClient(user: 7, house: house)
        try client.socket.setRoom(0, client.channel)
        try client.send(call("slow", id: 1))
        if halfCloses {
            client.shutDownWriting()
        } else {
            client.channel.pipeline.fireUserInboundEventTriggered(ConnectionHandler.Finish())
        }
        client.slow.finishOne()
        client.loop.advanceTime(by: .seconds(29))
        #expect(!client.isClosed)
        client.loop.advanceTime(by: .seconds(1))
        #expect(client.isClosed)
    }

    @Test("One that reads late gets everything")
    func late() throws {
        let client = try stuck()
        client.loop.advanceTime(by: .seconds(29))
        try client.socket.setRoom(.max, client.channel)
        #expect(try client.ids() == (1...20).map { .number(JSONNumber($0)) })
        client.loop.advanceTime(by: .seconds(60))
        #expect(!client.isClosed)
        try client.send(call("echo", id: 21))
        #expect(try client.ids() == [21])
    }

    @Test("The answers to a batch are not all kept, and arrive as one array")
    func batch() throws {
        let client = try TestClient(user: 7, house: house)
        try client.socket.setRoom(0, client.channel)
        let entries = (1...40).map { call("long", id: $0).dropLast() }
        try client.send("[" + entries.joined(separator: ",") + "]\n")
        #expect((40_000...120_000).contains(client.socket.unsent), "\(client.socket.unsent) bytes are kept")
        try client.socket.setRoom(.max, client.channel)
        let lines = client.lines()
        #expect(lines.count == 1)
        let answers = try JSONReader.read(lines.joined()).array ?? []
        #expect(answers.map { $0.object?["id"] } == (1...40).map { .number(JSONNumber($0)) })
    }
}
