import BypassAPI
import NIOCore
import NIOEmbedded
import StrictJSON
import Testing

@testable import BypassDaemon

/// What a client is told that has subscribed.
@Suite struct SubscriptionTests {
    private func house(keeping events: Int = 8) -> TestHouse {
        var limits = Limits()
        limits.events = events
        return TestHouse(limits)
    }

    private func bypass(_ inode: UInt64, reason: String? = nil) -> BypassStatus {
        BypassStatus(netns: "n\(inode)", inode: inode, state: .on, effective: true, reason: reason)
    }

    private func publish(_ count: Int, in house: TestHouse, reason: String? = nil) {
        for number in 0..<count { house.events.publish(.on, bypass(UInt64(number), reason: reason)) }
        house.loop.run()
    }

    /// The numbers of the events among lines, `nil` for what is none.
    private func sequences(_ lines: [String]) throws -> [Int?] {
        try lines.map { line in
            guard case .number(let number) = try parse(line).object?["params"]?.object?["sequence"] else { return nil }
            return Int(exactly: number)
        }
    }

    private func parse(_ line: String) throws -> JSONValue { try JSONReader.read(line) }

    @Test("Events come after the answer, in their order, as notifications with the object of the contract")
    func told() throws {
        let house = house()
        publish(2, in: house)
        let client = try TestClient(user: 7, house: house)
        publish(1, in: house)
        try client.send(call("subscribe", id: 1))
        #expect(try client.ids() == [1])
        publish(2, in: house)
        house.events.publish(.expired, bypass(0))
        house.loop.run()
        let lines = client.lines()
        #expect(try sequences(lines) == [4, 5, 6])
        let last = try parse(lines[2]).object
        #expect(last?["method"] == "expired" && last?["jsonrpc"] == "2.0" && last?["id"] == nil)
        #expect(last?["params"]?.object?["bypass"]?.object?["netns"] == "n0")
        try client.send(call("echo", id: 2))
        #expect(try client.ids() == [2])
    }

    @Test("Nothing comes in the middle of an answer, and nothing is lost while one is waited for")
    func between() throws {
        let house = house()
        let client = try TestClient(user: 7, house: house)
        try client.send(call("subscribe", id: 1))
        let batch = [call("slow", id: 2), call("echo", id: 3)].map { $0.dropLast() }.joined(separator: ",")
        try client.send("[\(batch)]\n")
        publish(2, in: house)
        #expect(client.lines().count == 1)
        client.slow.finishOne()
        house.loop.run()
        let lines = client.lines()
        #expect(try parse(lines[0]).array?.count == 2)
        #expect(try sequences(Array(lines.dropFirst())) == [1, 2])
    }

    @Test("A slow reader gets what it missed as long as it is kept")
    func slow() throws {
        let house = house()
        let client = try TestClient(user: 7, house: house)
        try client.send(call("subscribe", id: 1))
        _ = client.lines()
        try client.socket.setRoom(0, client.channel)
        // Enough to fill what is kept for a client: from then on the log is what remembers.
        let long = String(repeating: "x", count: 30_000)
        publish(8, in: house, reason: long)
        #expect(client.socket.unsent < 130_000)
        house.loop.advanceTime(by: .hours(1))
        try client.socket.setRoom(.max, client.channel)
        house.loop.run()
        #expect(try sequences(client.lines()) == (1...8).map { $0 })
        #expect(!client.isClosed)
    }

    @Test("One that is too slow is told so at the end of what it gets, and cut off; nobody else notices")
    func tooSlow() throws {
        let house = house()
        let (slow, quick) = (try TestClient(user: 7, house: house), try TestClient(user: 8, house: house))
        for client in [slow, quick] {
            try client.send(call("subscribe", id: 1))
            _ = client.lines()
        }
        try slow.socket.setRoom(0, slow.channel)
        let long = String(repeating: "x", count: 30_000)
        for _ in 0..<20 { publish(1, in: house, reason: long) }
        #expect(slow.socket.unsent < 130_000)
        #expect(try sequences(quick.lines()) == (1...20).map { $0 })

        try slow.socket.setRoom(.max, slow.channel)
        house.loop.run()
        let lines = slow.lines()
        let seen = try sequences(lines.dropLast())
        #expect(seen == (1...seen.count).map { $0 } && seen.count < 12)
        let error = try parse(try #require(lines.last)).object
        #expect(error?["id"] == .null)
        #expect(error?["error"]?.object?["data"]?.object?["limit"] == "events")
        #expect(slow.isClosed && !quick.isClosed)
        #expect(house.log.lines == ["connection cut off limit=events uid=7"])
    }

    @Test("One that is too slow and never reads again does not keep its place")
    func neverReads() throws {
        let house = house()
        let client = try TestClient(user: 7, house: house)
        try client.send(call("subscribe", id: 1))
        try client.socket.setRoom(0, client.channel)
        for _ in 0..<20 { publish(1, in: house, reason: String(repeating: "x", count: 30_000)) }
        house.loop.advanceTime(by: .seconds(30))
        #expect(client.isClosed)
    }
}

@Suite struct EventLogTests {
    private func bypass(_ inode: UInt64) -> BypassStatus {
        BypassStatus(netns: "n\(inode)", inode: inode, state: .on, effective: true)
    }

    @Test("What is bypassed follows from what has happened")
    func snapshot() {
        let log = EventLog(capacity: 4)
        log.adopt(bypass(9))
        log.publish(.on, bypass(3))
        log.publish(.on, bypass(1))
        log.publish(.degraded, bypass(3))
        log.publish(.off, bypass(1))
        #expect(log.snapshot.sequence == 4)
        #expect(log.snapshot.bypasses.map(\.inode) == [3, 9])
        for end in [BypassEvent.Name.expired, .gone] { log.publish(end, bypass(end == .gone ? 3 : 9)) }
        #expect(log.snapshot.bypasses == [])
    }

    @Test("It reaches back as far as it is long, and not into the future")
    func reach() {
        let log = EventLog(capacity: 4)
        #expect(log.reachesBack(to: 0) && !log.reachesBack(to: 1) && !log.reachesBack(to: -1))
        for _ in 0..<6 { log.publish(.on, bypass(1)) }
        #expect((0...7).filter(log.reachesBack) == [2, 3, 4, 5, 6])
        if case .forgotten = log.next(after: 1) {} else { Issue.record("event 2 should be forgotten") }
        if case .line(let line) = log.next(after: 2) {
            #expect(String(decoding: line, as: UTF8.self).contains("\"sequence\":3,"))
        } else {
            Issue.record("event 3 should be there")
        }
        #expect(log.next(after: 6) == nil)
    }
}
