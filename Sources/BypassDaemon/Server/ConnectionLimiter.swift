internal import BypassAPI
internal import Linux
internal import Synchronization

/// A connection's place, as those see it who have to choose between connections.
final class ConnectionSlot: Sendable {
    /// The user who connected.
    let uid: UInt32
    /// The account that the connection counts for: the user, or the one whose subordinate uid this is.
    let account: UInt32
    /// When the last answer was sent, as nanoseconds of ``Linux/Instant``; the end of time while a line is executed.
    private let lastAnswer: Atomic<UInt64>
    private let isSubscribed = Atomic(false)

    init(uid: UInt32, account: UInt32, at now: Instant) {
        self.uid = uid
        self.account = account
        lastAnswer = Atomic(now.nanoseconds)
    }

    /// Since when nothing has been under way. The connection's own thread writes it, so for others it is a hint.
    var idleSince: Instant { Instant(nanoseconds: lastAnswer.load(ordering: .relaxed)) }

    var isBusy: Bool { lastAnswer.load(ordering: .relaxed) == .max }

    func markBusy() { lastAnswer.store(.max, ordering: .relaxed) }

    func markIdle(since now: Instant) { lastAnswer.store(now.nanoseconds, ordering: .relaxed) }

    /// A subscriber is silent because that is its work.
    func markSubscribed() { isSubscribed.store(true, ordering: .relaxed) }

    /// Of two connections, the one that is missed less comes first: the silent one, and of silent ones the one that has
    /// been so for longer.
    fileprivate static func isMissedLess(_ a: ConnectionSlot, _ b: ConnectionSlot) -> Bool {
        let (waits, otherWaits) = (a.isSubscribed.load(ordering: .relaxed), b.isSubscribed.load(ordering: .relaxed))
        return waits == otherWaits ? a.idleSince < b.idleSince : otherWaits
    }
}

/// The admission of connections. It counts and decides; others act on it.
///
/// Connections are counted by account: the uids of an account's subordinate range count as that account. A newcomer whose
/// account has no connection gets in as long as any other can give way: one of an account with several first, and where
/// every account has one, the one that has been idle the longest. So neither many connections nor many uids shut others out.
struct ConnectionLimiter {
    enum Decision {
        case admitted
        /// In the place of a connection that has to end.
        case admittedEvicting(ConnectionSlot, lingers: Bool)
        case refused(Limits.Name, lingers: Bool)
    }

    /// Root's allowance beyond the limit, so that an administrator gets in.
    static let rootReserve = 8
    /// How many refused and how many evicted connections at a time get time to read the reason. Beyond it they are
    /// closed right after it, and a client that is still sending may miss it.
    static let maxLingering = 64

    private let limits: Limits
    private var admitted: [ObjectIdentifier: ConnectionSlot] = [:]
    private var byAccount: [UInt32: Int] = [:]
    private var refused: Set<ObjectIdentifier> = []
    private var evicted: Set<ObjectIdentifier> = []

    init(limits: Limits) {
        self.limits = limits
    }

    /// The number of calls with a place.
    var count: Int { admitted.count }

    mutating func admit(_ slot: ConnectionSlot) -> Decision {
        let own = byAccount[slot.account, default: 0]
        if own >= limits.userConnections { return refuse(slot, .userConnections) }
        if admitted.count < limits.connections + (slot.account == 0 ? Self.rootReserve : 0) {
            add(slot)
            return .admitted
        }
        guard own == 0, let victim = victim() else { return refuse(slot, .connections) }
        remove(victim)
        add(slot)
        return .admittedEvicting(victim, lingers: Self.insert(victim, in: &evicted))
    }

    /// The connection is closed, whatever it was.
    mutating func release(_ slot: ConnectionSlot) {
        remove(slot)
        refused.remove(ObjectIdentifier(slot))
        evicted.remove(ObjectIdentifier(slot))
    }

    /// Of the accounts with the most connections, the connection that is missed least. If all of those execute a line, one
    /// of them: it ends when it has its answer. How many of these there are at a time is bounded, since their lines still
    /// have to be executed. Where every account has a single one, root's is not taken, nor one that executes a line.
    private func victim() -> ConnectionSlot? {
        guard let most = byAccount.values.max() else { return nil }
        let candidates = admitted.values.filter {
            byAccount[$0.account] == most && (most > 1 || $0.account != 0 && !$0.isBusy)
        }
        guard let victim = candidates.min(by: ConnectionSlot.isMissedLess),
            !victim.isBusy || evicted.count < Self.maxLingering
        else { return nil }
        return victim
    }

    private mutating func refuse(_ slot: ConnectionSlot, _ limit: Limits.Name) -> Decision {
        .refused(limit, lingers: Self.insert(slot, in: &refused))
    }

    private static func insert(_ slot: ConnectionSlot, in lingering: inout Set<ObjectIdentifier>) -> Bool {
        guard lingering.count < maxLingering else { return false }
        lingering.insert(ObjectIdentifier(slot))
        return true
    }

    private mutating func add(_ slot: ConnectionSlot) {
        admitted[ObjectIdentifier(slot)] = slot
        byAccount[slot.account, default: 0] += 1
    }

    private mutating func remove(_ slot: ConnectionSlot) {
        guard admitted.removeValue(forKey: ObjectIdentifier(slot)) != nil else { return }
        let left = byAccount[slot.account, default: 1] - 1
        byAccount[slot.account] = left > 0 ? left : nil
    }
}
