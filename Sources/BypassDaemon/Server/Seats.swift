internal import BypassAPI

/// Who may be connected. It counts and decides; others act on it.
///
/// Whatever strangers do, a user who has a single connection keeps it, and one who has none gets one as long as anybody
/// has two. So the limit in all can be used up by many users, but not by a few.
struct Seats {
    enum Decision {
        case seated
        /// In the place of a connection that has to end.
        case seatedInstead(of: Seat, lingers: Bool)
        case refused(Limits.Name, lingers: Bool)
    }

    /// What root can have beyond the limit in all, so that an administrator gets in.
    static let reserve = 8
    /// How many connections at a time, refused ones and ended ones each, may take the time to be told in peace. Beyond
    /// it they are told and closed, which a client that is still sending may miss.
    static let mostLingering = 64

    private let limits: Limits
    private var seated: [ObjectIdentifier: Seat] = [:]
    private var byUser: [UInt32: Int] = [:]
    private var refused: Set<ObjectIdentifier> = []
    private var evicted: Set<ObjectIdentifier> = []

    init(limits: Limits) {
        self.limits = limits
    }

    mutating func admit(_ seat: Seat) -> Decision {
        let own = byUser[seat.user, default: 0]
        if own >= limits.userConnections { return refuse(seat, .userConnections) }
        if seated.count < limits.connections + (seat.user == 0 ? Self.reserve : 0) {
            add(seat)
            return .seated
        }
        guard own == 0, let victim = dispensable() else { return refuse(seat, .connections) }
        remove(victim)
        add(seat)
        return .seatedInstead(of: victim, lingers: Self.note(victim, in: &evicted))
    }

    /// The connection is closed, whatever it was.
    mutating func leave(_ seat: Seat) {
        remove(seat)
        refused.remove(ObjectIdentifier(seat))
        evicted.remove(ObjectIdentifier(seat))
    }

    /// Of the users with the most connections, the connection that has been idle the longest. If all of them have a
    /// request under way, one of those: it ends when it has its answer. How many of these there are at a time is
    /// bounded, since their requests still have to be carried out.
    private func dispensable() -> Seat? {
        guard let most = byUser.values.max(), most > 1 else { return nil }
        let victim = seated.values.filter { byUser[$0.user] == most }.min { $0.idleSince < $1.idleSince }
        guard let victim, !victim.isBusy || evicted.count < Self.mostLingering else { return nil }
        return victim
    }

    private mutating func refuse(_ seat: Seat, _ limit: Limits.Name) -> Decision {
        .refused(limit, lingers: Self.note(seat, in: &refused))
    }

    private static func note(_ seat: Seat, in lingering: inout Set<ObjectIdentifier>) -> Bool {
        guard lingering.count < mostLingering else { return false }
        lingering.insert(ObjectIdentifier(seat))
        return true
    }

    private mutating func add(_ seat: Seat) {
        seated[ObjectIdentifier(seat)] = seat
        byUser[seat.user, default: 0] += 1
    }

    private mutating func remove(_ seat: Seat) {
        guard seated.removeValue(forKey: ObjectIdentifier(seat)) != nil else { return }
        let left = byUser[seat.user, default: 1] - 1
        byUser[seat.user] = left > 0 ? left : nil
    }
}
