internal import Linux

/// A queue in which threads wait for their turn at kernel work, as ``FairScheduler`` gives it.
final class NamespaceGate: Sendable {
    fileprivate struct State {
        var scheduler = FairScheduler()
        /// Of the calls that wait, by ticket.
        var turns: [FairScheduler.Ticket: Monitor<Bool>] = [:]
    }

    private let state = Monitor(State())

    /// A place, held by the calling thread until ``leave(_:)``.
    struct Place {
        fileprivate let ticket: FairScheduler.Ticket
    }

    /// The pause between two looks of a waiting call: a running call can become slow meanwhile.
    private static let lookInterval = Interval.milliseconds(50)

    /// Waits for a place.
    func enter(_ principal: FairScheduler.Principal) -> Place {
        let (ticket, turn) = state.withLock { state -> (FairScheduler.Ticket, Monitor<Bool>?) in
            let (ticket, isGranted, granted) = state.scheduler.request(principal, at: .now)
            state.wake(granted)
            if isGranted { return (ticket, nil) }
            return (ticket, state.makeTurn(ticket))
        }
        if let turn { wait(for: turn) }
        return Place(ticket: ticket)
    }

    /// Gives the holder of a place a namespace to itself. While another call has the namespace, this waits without the place.
    func claim(_ namespace: UInt64, for place: Place) {
        let ticket = place.ticket
        let turn = state.withLock { state -> Monitor<Bool>? in
            let (isGranted, granted) = state.scheduler.claim(namespace, for: ticket, at: .now)
            state.wake(granted)
            return isGranted ? nil : state.makeTurn(ticket)
        }
        if let turn { wait(for: turn) }
    }

    /// Gives the place and its namespace back.
    func leave(_ place: Place) {
        let ticket = place.ticket
        state.withLock { state in state.wake(state.scheduler.release(ticket, at: .now)) }
    }

    /// No call ends when a running one becomes slow: those that wait give away the place that it gives back.
    private func wait(for turn: Monitor<Bool>) {
        while true {
            let now = Instant.now
            let next = state.withLock { $0.scheduler.nextSlow } ?? now + Self.lookInterval
            if turn.wait(until: next, { $0 ? () : nil }) != nil { return }
            state.withLock { state in state.wake(state.scheduler.grant(at: .now)) }
        }
    }
}

extension NamespaceGate.State {
    fileprivate mutating func makeTurn(_ ticket: FairScheduler.Ticket) -> Monitor<Bool> {
        let turn = Monitor(false)
        turns[ticket] = turn
        return turn
    }

    fileprivate mutating func wake(_ tickets: [FairScheduler.Ticket]) {
        for ticket in tickets { turns.removeValue(forKey: ticket)?.update { $0 = true } }
    }
}
