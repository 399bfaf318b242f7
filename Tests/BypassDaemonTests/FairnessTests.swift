import NIOCore
import NIOEmbedded
import StrictJSON
import Testing

@testable import BypassDaemon

/// A client with much to do does not keep its event loop from the others.
@Suite struct FairnessTests {
    private let house = TestHouse()

    @Test("Much work is done in turns, and all of it is done, in order", arguments: [false, true])
    func turns(_ isBatch: Bool) throws {
        let client = try TestClient(house: house)
        let requests = (1...60).map { call("busy", id: $0) }
        if isBatch {
            try client.send("[" + requests.map { $0.dropLast() }.joined(separator: ",") + "]\n")
            #expect(client.lines() == [])
        } else {
            try client.send(requests.joined())
            let done = try client.ids().count
            #expect((1...5).contains(done), "\(done) requests of 125 us each in the first turn")
        }
        client.loop.advanceTime(by: .milliseconds(10))
        if isBatch {
            let answers = try JSONReader.read(client.lines().joined()).array
            #expect(answers?.map { $0.object?["id"] } == (1...60).map { .number(JSONNumber($0)) })
        } else {
            #expect(try client.ids().last == 60)
        }
    }

    @Test("Others get their answers meanwhile, and their turns")
    func others() throws {
        let busy = try [TestClient(house: house), TestClient(house: house)]
        for client in busy { try client.send((1...40).map { call("busy", id: $0) }.joined()) }
        let other = try TestClient(house: house)
        try other.send(call("echo", id: 1))
        #expect(try other.ids() == [1])
        var done = try busy.map { try $0.ids().count }
        for step in 2...300 {
            house.loop.advanceTime(by: .microseconds(50))
            for (index, client) in busy.enumerated() { done[index] += try client.ids().count }
            #expect(abs(done[0] - done[1]) <= 8, "nobody gets more than two turns ahead: \(done)")
            try other.send(call("echo", id: step))
            #expect(try other.ids().count == 1)
        }
        #expect(done == [40, 40])
    }

    @Test("A client that goes away before its turn hurts nobody")
    func gone() throws {
        let clients = try [TestClient(house: house), TestClient(house: house)]
        for client in clients { try client.send((1...40).map { call("busy", id: $0) }.joined()) }
        clients[0].channel.close(promise: nil)
        house.loop.advanceTime(by: .milliseconds(10))
        #expect(try clients[1].ids().last == 40)
    }

    @Test("Asked to end before its turn, what was not begun is not begun")
    func finish() throws {
        let client = try TestClient(house: house)
        try client.send((1...40).map { call("busy", id: $0) }.joined())
        client.channel.pipeline.fireUserInboundEventTriggered(ConnectionHandler.Finish())
        client.loop.advanceTime(by: .seconds(3))
        #expect(try client.ids().count <= 5)
        #expect(client.isClosed)
    }
}
