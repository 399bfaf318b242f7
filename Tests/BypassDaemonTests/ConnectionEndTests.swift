import NIOCore
import NIOEmbedded
import StrictJSON
import Testing

@testable import BypassDaemon

@Suite struct ConnectionEndTests {
    private func finish(_ client: TestClient) {
        client.channel.pipeline.fireUserInboundEventTriggered(ConnectionHandler.Finish())
    }

    @Test("Asked to end, an idle connection shuts down writing and then closes")
    func idle() throws {
        let client = try TestClient()
        finish(client)
        #expect(client.socket.isOutputClosed)
        client.loop.advanceTime(by: .seconds(3))
        #expect(client.isClosed)
        #expect(client.lines() == [])
    }

    @Test("Asked to end, what was begun is answered, and what waits behind it is not begun")
    func busy() throws {
        let client = try TestClient()
        try client.send(call("slow", id: 1, "begun") + call("slow", id: 2, "waiting"))
        finish(client)
        #expect(!client.isClosed)
        client.slow.finishOne()
        #expect(try client.ids() == [1])
        #expect(client.slow.texts == [])
        client.loop.advanceTime(by: .seconds(3))
        #expect(client.isClosed)
    }

    @Test("A batch that was begun is carried out to its end")
    func busyBatch() throws {
        let client = try TestClient()
        let entries = [call("slow", id: 1, "a"), call("slow", id: 2, "b")].map { $0.filter { $0 != "\n" } }
        try client.send("[" + entries.joined(separator: ",") + "]\n")
        finish(client)
        client.slow.finishOne()
        #expect(client.slow.texts == ["b"])
        client.slow.finishOne()
        #expect(client.lines().count == 1)
        client.loop.advanceTime(by: .seconds(3))
        #expect(client.isClosed)
    }

    @Test("A client that goes away while its request is carried out hurts nobody")
    func goneClient() throws {
        let client = try TestClient()
        try client.send(call("slow", id: 1) + call("echo", id: 2))
        client.channel.close(promise: nil)
        client.loop.run()
        client.slow.finishOne()
        #expect(client.lines() == [])
    }

    @Test("An error of the socket closes it")
    func socketError() throws {
        let client = try TestClient()
        client.channel.pipeline.fireErrorCaught(IOError(errnoCode: 104, reason: "ECONNRESET"))
        #expect(client.isClosed)
    }
}
