import NIOCore
import Testing

@testable import BypassAPI
@testable import BypassDaemon

/// Who gets in when there is no room: counted and decided, without a connection.
@Suite struct SeatsTests {
    private static func seats(_ connections: Int, each: Int = 64) -> Seats {
        var limits = Limits()
        limits.connections = connections
        limits.userConnections = each
        return Seats(limits: limits)
    }

    /// A connection that has been idle since the given second.
    private static func seat(_ user: UInt32, idleSince second: Int64 = 1) -> Seat {
        Seat(user: user, at: .uptimeNanoseconds(0) + .seconds(second))
    }

    /// Lets as many of a user's connections in, and returns them.
    @discardableResult
    private func fill(_ seats: inout Seats, _ user: UInt32, _ count: Int) -> [Seat] {
        (0..<count).map { number in
            let seat = Self.seat(user, idleSince: Int64(number) + 1)
            #expect(seats.admit(seat).isSeated)
            return seat
        }
    }

    @Test("At its own limit a user is refused, and gets in again for one that goes")
    func own() {
        var seats = Self.seats(100, each: 3)
        let mine = fill(&seats, 7, 3)
        #expect(seats.admit(Self.seat(7)).refusal == .userConnections)
        fill(&seats, 8, 3)
        seats.leave(mine[1])
        fill(&seats, 7, 1)
        #expect(seats.admit(Self.seat(7)).refusal == .userConnections)
    }

    @Test("At the limit in all, who has none gets in for the one of the greediest that was idle the longest")
    func newcomer() {
        var seats = Self.seats(6)
        let few = fill(&seats, 7, 2)
        let many = fill(&seats, 8, 4)
        many[0].end(at: .uptimeNanoseconds(0) + .seconds(99))
        #expect(seats.admit(Self.seat(9)).victim === many[1])
        #expect(seats.admit(Self.seat(9)).refusal == .connections, "who has one waits until there is room")
        #expect(seats.admit(Self.seat(8)).refusal == .connections)
        // Two users have most now: two each.
        #expect(seats.admit(Self.seat(10)).victim === many[2])
        #expect(seats.admit(Self.seat(11)).victim === few[0])
    }

    @Test("Who has a single connection keeps it")
    func single() {
        var seats = Self.seats(3)
        for user in 1...3 { fill(&seats, UInt32(user), 1) }
        #expect(seats.admit(Self.seat(4)).refusal == .connections)
    }

    @Test("One with a request under way ends only where all have one, and few of those at a time")
    func busy() {
        var seats = Self.seats(70, each: 70)
        let greedy = fill(&seats, 7, 70)
        for seat in greedy.dropLast() { seat.begin() }
        #expect(seats.admit(Self.seat(8)).victim === greedy.last)
        for user in 0..<63 { #expect(seats.admit(Self.seat(100 + UInt32(user))).victim?.isBusy == true) }
        let last = Self.seat(9)
        #expect(seats.admit(last).refusal == .connections)
        seats.leave(last)
        for seat in greedy { seats.leave(seat) }
        #expect(seats.admit(Self.seat(9)).isSeated)
    }

    @Test("Root gets in beyond the limit, up to its reserve")
    func root() {
        var seats = Self.seats(3)
        for user in 1...3 { fill(&seats, UInt32(user), 1) }
        fill(&seats, 0, Seats.reserve)
        #expect(seats.admit(Self.seat(0)).refusal == .connections)
        #expect(seats.admit(Self.seat(4)).victim?.user == 0, "root is a user like others")
    }

    @Test("Of refused connections only so many linger, and of ended ones")
    func lingering() {
        var seats = Self.seats(200, each: 200)
        fill(&seats, 7, 200)
        let refused = (0..<100).map { _ in Self.seat(7) }
        #expect(refused.map { seats.admit($0).lingers }.count { $0 } == Seats.mostLingering)
        let newcomers = (0..<100).map { Self.seat(100 + UInt32($0)) }
        #expect(newcomers.map { seats.admit($0).lingers }.count { $0 } == Seats.mostLingering)
        for seat in refused { seats.leave(seat) }
        #expect(seats.admit(Self.seat(7)).lingers)
    }
}

extension Seats.Decision {
    fileprivate var isSeated: Bool { if case .seated = self { true } else { false } }

    fileprivate var victim: Seat? { if case .seatedInstead(let victim, _) = self { victim } else { nil } }

    fileprivate var refusal: Limits.Name? { if case .refused(let limit, _) = self { limit } else { nil } }

    fileprivate var lingers: Bool {
        switch self {
        case .seated: false
        case .seatedInstead(_, let lingers), .refused(_, let lingers): lingers
        }
    }
}
