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
        /// The list that accounts share, apart for those with priority. Through the places of one of them it would wait for
        /// that account's other calls.
        case list(priority: Bool)
        /// Resync, expiry and recovery.
        case maintenance
        /// Whether the gate still lets calls through, whatever namespaces the others wait for.
        case watchdog

        /// Whether it is a client's, whose next call may follow soon.
        var isClient: Bool {
            switch self {
            case .account, .priority, .list: true
            case .maintenance, .watchdog: false
            }
        }

        fileprivate var pool: Pool {
            switch self {
            case .account, .list(priority: false): .common
            case .priority, .list(priority: true): .priority
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
        /// When it is its turn on its namespace: each principal has one turn a round.
        var round: Int
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
    /// Of namespaces that calls wait for: the round that has come.
    private var rounds: [UInt64: Int] = [:]
    private var lastTicket: Ticket = 0

    /// The number of waiting calls.
    var waitingCount: Int { waiting.count }

    /// Asks for a place.
    ///
    /// - Parameter namespace: the inode of the namespace that the call works on, if it is known yet.
    /// - Returns: the call's ticket, whether it has the place already, and which other calls may run now.
    mutating func request(
        _ principal: Principal, _ namespace: UInt64? = nil, at now: Instant
    ) -> (ticket: Ticket, isGranted: Bool, granted: [Ticket]) {
        lastTicket += 1
        let (isGranted, granted) = enqueue(lastTicket, principal, namespace, at: now)
        return (lastTicket, isGranted, granted)
    }

    /// Calls that wait already have the places first that slow calls have given back.
    private mutating func enqueue(
        _ ticket: Ticket, _ principal: Principal, _ namespace: UInt64?, at now: Instant
    ) -> (isGranted: Bool, granted: [Ticket]) {
        let round = namespace.map { nextRound(of: principal, on: $0) } ?? 0
        let call = Waiting(ticket: ticket, principal: principal, namespace: namespace, round: round)
        // The usual case: no order to keep, and a place.
        if waiting.isEmpty && mayRun(call) {
            start(call, at: now)
            return (true, [])
        }
        waiting.append(call)
        markSlow(at: now)
        let granted = grantPlaces(at: now)
        return (granted.contains(ticket), granted.filter { $0 != ticket })
    }

    private func nextRound(of principal: Principal, on namespace: UInt64) -> Int {
        let own = waiting.last { $0.namespace == namespace && $0.principal == principal }?.round ?? 0
        return max(own, rounds[namespace] ?? 0) + 1
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
        return enqueue(ticket, call.principal, namespace, at: now)
    }

    /// A running call is done.
    ///
    /// - Returns: who may run now.
    mutating func release(_ ticket: Ticket, at now: Instant) -> [Ticket] {
        guard let index = running.firstIndex(where: { $0.ticket == ticket }) else { return [] }
        running.remove(at: index)
        if waiting.isEmpty { return [] }
        markSlow(at: now)
        return grantPlaces(at: now)
    }

    /// When it is worth looking again, though no call ends: the next running call becomes slow. nil if there is none.
    var nextSlow: Instant? {
        running.lazy.filter { !$0.isSlow }.map { $0.since + Self.slowAfter }.min()
    }

    /// Gives away what calls that have become slow have given back.
    mutating func grant(at now: Instant) -> [Ticket] { markSlow(at: now) ? grantPlaces(at: now) : [] }

    private mutating func grantPlaces(at now: Instant) -> [Ticket] {
        var granted: [Ticket] = []
        while let index = nextRunnable() {
            let call = waiting.remove(at: index)
            start(call, at: now)
            granted.append(call.ticket)
        }
        return granted
    }

    /// Of the calls that may run, the first one of the principal that was served longest ago.
    ///
    /// Of those for one namespace only the one of the earliest round counts. Otherwise a principal with calls elsewhere would
    /// always be the one that was served last, and would never get a namespace that others ask for all the time.
    private func nextRunnable() -> Int? {
        var heads: [UInt64: Int] = [:]
        var candidates: [Int] = []
        for (index, call) in waiting.enumerated() where mayRun(call) {
            guard let namespace = call.namespace else {
                candidates.append(index)
                continue
            }
            if heads[namespace].map({ call.round < waiting[$0].round }) ?? true { heads[namespace] = index }
        }
        candidates += heads.values
        return candidates.min { (rank(of: $0), $0) < (rank(of: $1), $1) }
    }

    /// By the time since when the principal of a waiting call was served.
    private func rank(of index: Int) -> Int { served.firstIndex(of: waiting[index].principal) ?? -1 }

    private mutating func start(_ call: Waiting, at now: Instant) {
        running.append(
            Running(ticket: call.ticket, principal: call.principal, namespace: call.namespace, since: now))
        if let namespace = call.namespace {
            let isAwaited = waiting.contains { $0.namespace == namespace }
            rounds[namespace] = isAwaited ? max(call.round, rounds[namespace] ?? 0) : nil
        }
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

    /// - Returns: whether a call has become slow.
    @discardableResult
    private mutating func markSlow(at now: Instant) -> Bool {
        var isChange = false
        for index in running.indices where !running[index].isSlow && now >= running[index].since + Self.slowAfter {
            running[index].isSlow = true
            isChange = true
        }
        return isChange
    }
}
