import Linux
import Testing

@testable import BypassAPI
@testable import BypassDaemon

/// Who gets in when there is no room: counted and decided, without a connection.
@Suite struct ConnectionLimiterTests {
    private static func limiter(_ connections: Int, each: Int = 64) -> ConnectionLimiter {
        var limits = Limits()
        limits.connections = connections
        limits.userConnections = each
        return ConnectionLimiter(limits: limits)
    }

    /// A connection that has been idle since the given second.
    private static func slot(
        _ uid: UInt32, account: UInt32? = nil, idleSince second: Int = 1
    ) -> ConnectionSlot {
        ConnectionSlot(uid: uid, account: account ?? uid, at: Instant(nanoseconds: 0) + .seconds(second))
    }

    /// Lets as many of a user's connections in, and returns them.
    @discardableResult
    private func fill(_ limiter: inout ConnectionLimiter, _ uid: UInt32, _ count: Int) -> [ConnectionSlot] {
        (0..<count).map { number in
            let slot = Self.slot(uid, idleSince: number + 1)
            #expect(limiter.admit(slot).isAdmitted)
            return slot
        }
    }

    @Test("At its own limit a user is refused, and gets in again for one that goes")
    func own() {
        var limiter = Self.limiter(100, each: 3)
        let mine = fill(&limiter, 7, 3)
        #expect(limiter.admit(Self.slot(7)).refusal == .userConnections)
        fill(&limiter, 8, 3)
        limiter.release(mine[1])
        fill(&limiter, 7, 1)
        #expect(limiter.admit(Self.slot(7)).refusal == .userConnections)
    }

    @Test("At the limit in all, a user without one gets in for the longest idle one of the user with most")
    func newcomer() {
        var limiter = Self.limiter(6)
        let few = fill(&limiter, 7, 2)
        let many = fill(&limiter, 8, 4)
        many[0].markIdle(since: Instant(nanoseconds: 0) + .seconds(99))
        #expect(limiter.admit(Self.slot(9)).evicted === many[1])
        #expect(limiter.admit(Self.slot(9)).refusal == .connections, "a user with one waits until there is room")
        #expect(limiter.admit(Self.slot(8)).refusal == .connections)
        // Two users have most now: two each.
        #expect(limiter.admit(Self.slot(10)).evicted === many[2])
        #expect(limiter.admit(Self.slot(11)).evicted === few[0])
    }

    @Test("Where every user has one connection, the longest idle gives way, and a busy one does not")
    func single() {
        var limiter = Self.limiter(4)
        let slots = (1...4).map { Self.slot(UInt32($0), idleSince: 10 - $0) }
        for slot in slots { #expect(limiter.admit(slot).isAdmitted) }
        slots[3].markBusy()
        #expect(limiter.admit(Self.slot(5, idleSince: 20)).evicted === slots[2])
        #expect(limiter.admit(Self.slot(1)).refusal == .connections, "a user with one waits until there is room")
        #expect(limiter.admit(Self.slot(6, idleSince: 20)).evicted === slots[1])
        #expect(limiter.admit(Self.slot(7, idleSince: 20)).evicted === slots[0])
        slots[3].markIdle(since: Instant(nanoseconds: 0))
        #expect(limiter.admit(Self.slot(8, idleSince: 20)).evicted === slots[3])
    }

    @Test("Where every user has one that executes a line, a newcomer is refused")
    func allBusy() {
        var limiter = Self.limiter(3)
        for uid in 1...3 { for slot in fill(&limiter, UInt32(uid), 1) { slot.markBusy() } }
        #expect(limiter.admit(Self.slot(4)).refusal == .connections)
    }

    @Test("Root's only connection does not give way")
    func rootKeepsOne() {
        var limiter = Self.limiter(2)
        fill(&limiter, 0, 1)
        let other = Self.slot(7, idleSince: 50)
        #expect(limiter.admit(other).isAdmitted)
        #expect(limiter.admit(Self.slot(8, idleSince: 60)).evicted === other)
    }

    @Test("Subordinate uids count as their account, so they shut no other user out")
    func subordinates() {
        var limiter = Self.limiter(100, each: 3)
        for number in 0..<3 {
            #expect(limiter.admit(Self.slot(100_000 + UInt32(number), account: 1000)).isAdmitted)
        }
        #expect(limiter.admit(Self.slot(100_777, account: 1000)).refusal == .userConnections)
        #expect(limiter.admit(Self.slot(1000)).refusal == .userConnections)
        fill(&limiter, 1001, 3)

        var full = Self.limiter(4)
        for number in 0..<4 { _ = full.admit(Self.slot(100_000 + UInt32(number), account: 1000)) }
        #expect(full.admit(Self.slot(100_004, account: 1000)).refusal == .connections)
        #expect(full.admit(Self.slot(1001)).evicted?.account == 1000)
    }

    @Test("A subscriber gives way after those that are silent for no reason")
    func subscriber() {
        var limiter = Self.limiter(3)
        let slots = fill(&limiter, 7, 3)
        slots[0].markSubscribed()
        #expect(limiter.admit(Self.slot(8, idleSince: 9)).evicted === slots[1])
        // Two of one user, of which one subscribes: the other one is missed less.
        #expect(limiter.admit(Self.slot(9, idleSince: 9)).evicted === slots[2])
    }

    @Test("One that executes a line ends only where all do, and few of those at a time")
    func busy() {
        var limiter = Self.limiter(70, each: 70)
        let greedy = fill(&limiter, 7, 70)
        for slot in greedy.dropLast() { slot.markBusy() }
        #expect(limiter.admit(Self.slot(8)).evicted === greedy.last)
        for uid in 0..<63 { #expect(limiter.admit(Self.slot(100 + UInt32(uid))).evicted?.isBusy == true) }
        let last = Self.slot(9)
        #expect(limiter.admit(last).refusal == .connections)
        limiter.release(last)
        for slot in greedy { limiter.release(slot) }
        #expect(limiter.admit(Self.slot(9)).isAdmitted)
    }

    @Test("Root gets in beyond the limit, up to its reserve")
    func root() {
        var limiter = Self.limiter(3)
        for uid in 1...3 { fill(&limiter, UInt32(uid), 1) }
        fill(&limiter, 0, ConnectionLimiter.rootReserve)
        #expect(limiter.admit(Self.slot(0)).refusal == .connections)
        #expect(limiter.admit(Self.slot(4)).evicted?.uid == 0, "root is a user like others")
    }

    @Test("Of refused connections only so many linger, and of evicted ones")
    func lingering() {
        var limiter = Self.limiter(200, each: 200)
        fill(&limiter, 7, 200)
        let refused = (0..<100).map { _ in Self.slot(7) }
        #expect(refused.map { limiter.admit($0).lingers }.count { $0 } == ConnectionLimiter.maxLingering)
        let newcomers = (0..<100).map { Self.slot(100 + UInt32($0)) }
        #expect(newcomers.map { limiter.admit($0).lingers }.count { $0 } == ConnectionLimiter.maxLingering)
        for slot in refused { limiter.release(slot) }
        #expect(limiter.admit(Self.slot(7)).lingers)
    }

    @Test("A connection that is released twice, or was refused, frees no other's place")
    func released() {
        var limiter = Self.limiter(2)
        let slots = fill(&limiter, 7, 2)
        let refused = Self.slot(7)
        #expect(limiter.admit(refused).refusal == .connections)
        limiter.release(refused)
        #expect(limiter.count == 2)
        for _ in 0..<2 { limiter.release(slots[0]) }
        #expect(limiter.count == 1)
    }
}

extension ConnectionLimiter.Decision {
    fileprivate var isAdmitted: Bool { if case .admitted = self { true } else { false } }

    fileprivate var evicted: ConnectionSlot? { if case .admittedEvicting(let slot, _) = self { slot } else { nil } }

    fileprivate var refusal: Limits.Name? { if case .refused(let limit, _) = self { limit } else { nil } }

    fileprivate var lingers: Bool {
        switch self {
        case .admitted: false
        case .admittedEvicting(_, let lingers), .refused(_, let lingers): lingers
        }
    }
}
