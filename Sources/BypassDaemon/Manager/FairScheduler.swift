internal import Linux

/// Decides which calls may do kernel work now, and on which namespace.
///
/// - Each principal has a few places. The common places of a pool go round its principals, so that one with many calls
///   does not hold up another with few.
/// - One call at a time works on a namespace. Calls for a busy one do not hold places while they wait.
/// - A call that has worked for longer than ``slowAfter`` waits for the kernel, not for a processor. It gives its common
///   place back and keeps its principal's: a namespace that blocks holds up only its own callers.
struct FairScheduler {
    /// Whose places a call takes.
    enum Principal: Hashable {
        case account(UInt32)
        /// Root, or an account that the policy marks as `priority`: served from places of their own.
        case priority(UInt32)
        /// The lists that all other accounts share. Through the places of one of them, they would wait for its other calls.
        case sharedList
        /// Resync, expiry and recovery.
        case maintenance
        /// Whether the gate still lets calls through, whatever namespaces the others wait for.
        case watchdog

        fileprivate var pool: Pool {
            switch self {
            case .account, .sharedList: .common
            case .priority: .priority
            case .maintenance: .maintenance
            case .watchdog: .watchdog
            }
        }
    }

    fileprivate enum Pool { case common, priority, maintenance, watchdog }

    typealias Ticket = UInt64

    private struct Running {
        var ticket: Ticket
        var principal: Principal
        var namespace: UInt64?
        var since: Instant
        var isSlow = false
    }

    private struct Waiting {
        var ticket: Ticket
        var principal: Principal
        var namespace: UInt64?
    }

    /// Places of each pool for calls that need a processor.
    static let placesPerPool = 4
    /// Places of a principal, for whatever its calls wait for.
    static let placesPerAccount = 2
    static let slowAfter = Interval.milliseconds(20)

    private var running: [Running] = []
    /// In the order of arrival.
    private var waiting: [Waiting] = []
    /// The principals that were served, the last one last: who is served next is who was served longest ago.
    private var served: [Principal] = []
    private var lastTicket: Ticket = 0

    /// How many calls wait.
    var waitingCount: Int { waiting.count }

    /// Asks for a place.
    ///
    /// - Parameter namespace: the inode of the namespace that the call works on, if it is known yet.
    /// - Returns: the call's ticket, and whether it has the place already.
    mutating func request(
        _ principal: Principal, _ namespace: UInt64? = nil, at now: Instant
    ) -> (ticket: Ticket, isGranted: Bool) {
        lastTicket += 1
        return (lastTicket, request(lastTicket, principal, namespace, at: now))
    }

    private mutating func request(
        _ ticket: Ticket, _ principal: Principal, _ namespace: UInt64?, at now: Instant
    ) -> Bool {
        markSlow(at: now)
        let call = Waiting(ticket: ticket, principal: principal, namespace: namespace)
        if mayRun(call), !waiting.contains(where: { $0.principal == principal && $0.namespace == namespace }) {
            start(call, at: now)
            return true
        }
        waiting.append(call)
        return false
    }

    /// A running call has found out which namespace it works on. If that is busy, the call gives up its place and waits.
    ///
    /// - Returns: whether the call goes on; and who else may.
    mutating func claim(_ namespace: UInt64, for ticket: Ticket, at now: Instant) -> (
        isGranted: Bool, granted: [Ticket]
    ) {
        guard let index = running.firstIndex(where: { $0.ticket == ticket }) else { return (false, []) }
        if !isBusy(namespace) && !waiting.contains(where: { $0.namespace == namespace }) {
            running[index].namespace = namespace
            return (true, [])
        }
        let call = running.remove(at: index)
        waiting.append(Waiting(ticket: ticket, principal: call.principal, namespace: namespace))
        let granted = grant(at: now)
        return (granted.contains(ticket), granted.filter { $0 != ticket })
    }

    /// A running call is done.
    ///
    /// - Returns: who may run now.
    mutating func release(_ ticket: Ticket, at now: Instant) -> [Ticket] {
        guard let index = running.firstIndex(where: { $0.ticket == ticket }) else { return [] }
        running.remove(at: index)
        return waiting.isEmpty ? [] : grant(at: now)
    }

    /// When it is worth looking again, though no call ends: the next running call becomes slow. nil if there is none.
    var nextSlow: Instant? {
        running.lazy.filter { !$0.isSlow }.map { $0.since + Self.slowAfter }.min()
    }

    /// Gives away what calls that have become slow have given back.
    mutating func grant(at now: Instant) -> [Ticket] {
        markSlow(at: now)
        var granted: [Ticket] = []
        while let index = nextRunnable() {
            let call = waiting.remove(at: index)
            start(call, at: now)
            granted.append(call.ticket)
        }
        return granted
    }

    /// Of the calls that may run, the first one of the principal that was served longest ago.
    private func nextRunnable() -> Int? {
        var best: (index: Int, rank: Int)?
        for (index, call) in waiting.enumerated() where mayRun(call) {
            let rank = served.firstIndex(of: call.principal) ?? -1
            if best.map({ rank < $0.rank }) ?? true { best = (index, rank) }
        }
        return best?.index
    }

    private mutating func start(_ call: Waiting, at now: Instant) {
        running.append(
            Running(ticket: call.ticket, principal: call.principal, namespace: call.namespace, since: now))
        if waiting.isEmpty {
            // Without waiting calls there is no order to keep.
            served.removeAll(keepingCapacity: true)
        } else {
            served.removeAll { $0 == call.principal }
            served.append(call.principal)
        }
    }

    private func mayRun(_ call: Waiting) -> Bool {
        if let namespace = call.namespace, isBusy(namespace) { return false }
        let pool = call.principal.pool
        var (own, inPool) = (0, 0)
        for other in running {
            if other.principal == call.principal { own += 1 }
            if other.principal.pool == pool && !other.isSlow { inPool += 1 }
        }
        let places = pool == .common ? Self.placesPerAccount : Self.placesPerPool
        return own < places && inPool < Self.placesPerPool
    }

    private func isBusy(_ namespace: UInt64) -> Bool {
        running.contains { $0.namespace == namespace }
    }

    private mutating func markSlow(at now: Instant) {
        for index in running.indices where !running[index].isSlow && now >= running[index].since + Self.slowAfter {
            running[index].isSlow = true
        }
    }
}
