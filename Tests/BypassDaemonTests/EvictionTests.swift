import NIOCore
import NIOEmbedded
import StrictJSON
import Testing

@testable import BypassAPI
@testable import BypassDaemon

/// Connections that end, or do not begin, since there is no room for all.
@Suite struct EvictionTests {
    private static func house(_ connections: Int) -> TestHouse {
        var limits = Limits()
        limits.connections = connections
        return TestHouse(limits)
    }

    @Test("Whose connection goes to somebody else is told why")
    func told() throws {
        let house = Self.house(2)
        let greedy = try [TestClient(user: 7, house: house), TestClient(user: 7, house: house)]
        house.loop.advanceTime(by: .seconds(1))
        try greedy[0].send(call("echo", id: 1))
        #expect(try greedy[0].ids() == [1])
        let newcomer = try TestClient(user: 8, house: house)
        try newcomer.send(call("echo", id: 2))
        #expect(try newcomer.ids() == [2])
        #expect(try limit(in: greedy[1].lines().first) == "connections")
        house.loop.advanceTime(by: .seconds(3))
        #expect(greedy[1].isClosed && !greedy[0].isClosed)
        #expect(
            house.log.lines == ["connection ended in favour of another user's limit=connections uid=7"])
    }

    @Test("What was begun is answered first, and what waits behind it is not begun")
    func busy() throws {
        let house = Self.house(2)
        let greedy = try [TestClient(user: 7, house: house), TestClient(user: 7, house: house)]
        for client in greedy { try client.send(call("slow", id: 1, "begun") + call("slow", id: 2, "waiting")) }
        let newcomer = try TestClient(user: 8, house: house)
        try newcomer.send(call("echo", id: 2))
        #expect(try newcomer.ids() == [2])
        for client in greedy { client.slow.finishOne() }
        let ended = try #require(greedy.first { $0.slow.texts == [] })
        let lines = ended.lines()
        #expect(lines.count == 2)
        #expect(lines.first?.contains("\"result\"") == true)
        #expect(try limit(in: lines.last) == "connections")
        #expect(ended.isClosed)
        #expect(greedy.count { $0.isClosed } == 1)
    }

    @Test("A connection whose place is given away before it is set up ends as others do")
    func early() throws {
        let house = Self.house(2)
        let other = try TestClient(user: 7, house: house)
        other.channel.close(promise: nil)
        house.loop.run()
        let seats = (0..<2).map { _ in house.connections.admit(user: 7, on: house.loop).seat }
        #expect(house.connections.admit(user: 8, on: house.loop).finish == nil)
        let orders = seats.map { house.connections.open($0, EmbeddedChannel(loop: house.loop)) }
        #expect(orders.compactMap { $0?.limit } == [.connections])
    }

    @Test("A refused client is told why, whatever it has sent, and does not stay")
    func refused() throws {
        let house = Self.house(1)
        let first = try TestClient(user: 7, house: house)
        let client = try TestClient(user: 7, house: house)
        try client.send(call("slow", id: 1))
        #expect(try limit(in: client.lines().first) == "connections")
        #expect(client.slow.texts == [])
        house.loop.advanceTime(by: .seconds(3))
        #expect(client.isClosed && !first.isClosed)
        #expect(house.connections.all.count == 1)
        first.channel.close(promise: nil)
        house.loop.run()
        let next = try TestClient(user: 7, house: house)
        try next.send(call("echo", id: 1))
        #expect(try next.ids() == [1])
    }

    @Test("Many refused clients do not stay at all, and are told, too")
    func flood() throws {
        let house = Self.house(1)
        let first = try TestClient(user: 7, house: house)
        let clients = try (0..<200).map { _ in try TestClient(user: 7, house: house) }
        for client in clients { #expect(try limit(in: client.lines().first) == "connections") }
        house.loop.run()
        #expect(house.connections.all.count == 1 + Seats.mostLingering)
        #expect(!first.isClosed)
        #expect(house.log.lines.count == 1)
    }
}
