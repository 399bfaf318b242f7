internal import BypassAPI
internal import CoreMetrics
internal import Logging
internal import NIOCore
internal import Synchronization

/// The connections that are open: what limits are counted on, and who is told of the end.
final class Connections: Sendable {
    private struct State {
        var seats: Seats
        /// By seat.
        var channels: [ObjectIdentifier: any Channel] = [:]
        /// How those have to end that have no channel yet.
        var orders: [ObjectIdentifier: ConnectionHandler.Finish] = [:]
    }

    private let state: Mutex<State>
    private let budget: Mutex<RequestBudget>
    private let turns = Mutex<[ObjectIdentifier: NIOLoopBound<Turns>]>([:])
    private let log: RefusalLog
    private let counted: DaemonMetrics

    init(limits: Limits, counted: DaemonMetrics, logger: Logger) {
        self.counted = counted
        state = Mutex(State(seats: Seats(limits: limits)))
        budget = Mutex(RequestBudget(perSecond: limits.requestsPerSecond))
        log = RefusalLog(counted: counted, logger: logger)
    }

    /// Counts a connection in, and if it takes another's place, ends that.
    ///
    /// - Returns: what stands for it here, and how it has to end at once if there is no room.
    func admit(user: UInt32, on loop: any EventLoop) -> (seat: Seat, finish: ConnectionHandler.Finish?) {
        let seat = Seat(user: user, at: loop.now)
        let (decision, channel) = state.withLock { state in
            let decision = state.seats.admit(seat)
            var channel: (any Channel)?
            if case .seatedInstead(let other, let lingers) = decision {
                channel = state.channels[ObjectIdentifier(other)]
                if channel == nil { state.orders[ObjectIdentifier(other)] = Self.givingWay(lingers) }
            }
            return (decision, channel)
        }
        switch decision {
        case .seated: return (seat, nil)
        case .seatedInstead(let other, let lingers):
            log.note(.gaveWay, .connections, user: other.user, on: loop)
            channel?.pipeline.fireUserInboundEventTriggered(Self.givingWay(lingers))
            return (seat, nil)
        case .refused(let limit, let lingers):
            log.note(.refused, limit, user: user, on: loop)
            return (seat, ConnectionHandler.Finish(limit: limit, lingers: lingers))
        }
    }

    private static func givingWay(_ lingers: Bool) -> ConnectionHandler.Finish {
        ConnectionHandler.Finish(limit: .connections, lingers: lingers)
    }

    /// A connection that was admitted has a channel now.
    ///
    /// - Returns: how it has to end, if its place was given away meanwhile.
    func open(_ seat: Seat, _ channel: any Channel) -> ConnectionHandler.Finish? {
        channel.closeFuture.whenComplete { _ in self.remove(seat) }
        return state.withLock { state in
            state.channels[ObjectIdentifier(seat)] = channel
            counted.connections.set(Int64(state.channels.count))
            return state.orders.removeValue(forKey: ObjectIdentifier(seat))
        }
    }

    /// Counts a connection out. One that has had a channel goes by itself.
    func remove(_ seat: Seat) {
        state.withLock { state in
            state.seats.leave(seat)
            state.channels[ObjectIdentifier(seat)] = nil
            counted.connections.set(Int64(state.channels.count))
            state.orders[ObjectIdentifier(seat)] = nil
        }
    }

    /// Whether one more request is within what its user may ask. Root may ask what it likes.
    func mayAsk(_ seat: Seat, at now: NIODeadline, on loop: any EventLoop) -> Bool {
        if seat.user == 0 || budget.withLock({ $0.take(seat.user, at: now) }) { return true }
        log.note(.requestRefused, .requestsPerSecond, user: seat.user, on: loop)
        return false
    }

    /// Notes that a subscriber is told that it has missed something, and cut off.
    func noteBehind(_ seat: Seat, on loop: any EventLoop) {
        log.note(.cutOff, .events, user: seat.user, on: loop)
    }

    /// Notes that a connection is closed on a client that does not read.
    func noteUnread(_ seat: Seat, on loop: any EventLoop) {
        log.note(.cutOff, .unreadSeconds, user: seat.user, on: loop)
    }

    /// The line that connections of a loop stand in; to be asked for on that loop.
    func turns(on loop: any EventLoop) -> Turns {
        turns.withLock { turns in
            if let found = turns[ObjectIdentifier(loop)] { return found }
            let made = NIOLoopBound(Turns(on: loop), eventLoop: loop)
            turns[ObjectIdentifier(loop)] = made
            return made
        }.value
    }

    /// Asks every connection to answer what was begun, and to end.
    func finish() {
        for channel in all { channel.pipeline.fireUserInboundEventTriggered(ConnectionHandler.Finish()) }
    }

    var all: [any Channel] { state.withLock { Array($0.channels.values) } }
}
