/// What was found in a namespace, and in the matcher's map for it.
public struct Observation: Hashable, Sendable {
    /// A chain of iptables' nat table.
    public struct Chain: Hashable, Sendable {
        /// The handles of our rules in it, in their order.
        public var own: [UInt64]
        /// Whether the chain's first rule is ours.
        public var ownIsFirst: Bool
        /// Whether there are rules of others.
        public var hasForeignRules: Bool
        /// Whether our rule has no place here: this is not iptables' chain, though it has the name, or its table belongs
        /// to another process. The guard does without.
        public var isClosed: Bool

        public init(
            own: [UInt64] = [], ownIsFirst: Bool = false, hasForeignRules: Bool = false, isClosed: Bool = false
        ) {
            self.own = own
            self.ownIsFirst = ownIsFirst
            self.hasForeignRules = hasForeignRules
            self.isClosed = isClosed
        }
    }

    /// iptables' nat table of one family.
    public struct Table: Hashable, Sendable {
        public var chains: [Hook: Chain]
        /// Whether there is anything in it besides `chains`.
        public var hasForeignObjects: Bool

        public init(chains: [Hook: Chain] = [:], hasForeignObjects: Bool = false) {
            self.chains = chains
            self.hasForeignObjects = hasForeignObjects
        }
    }

    /// A chain of the guard's table.
    public enum GuardChain: Hashable, Sendable {
        /// Where and what it was made as, with nothing before its rules, which are for these families.
        case intact(Set<Family>)
        case damaged

        func covers(_ families: some Sequence<Family>) -> Bool {
            if case .intact(let covered) = self { covered.isSuperset(of: families) } else { false }
        }
    }

    /// A base chain that takes connections to a proxy.
    public struct Interception: Hashable, Sendable {
        public enum Means: Hashable, Sendable {
            case nat, transparentProxy
        }

        public var means: Means
        public var hook: Hook
        /// One, or both for a chain of family inet.
        public var families: Set<Family>
        public var priority: Int32
        /// iptables' own nat chain, where it is one: our RETURN at its head beats it.
        public var place: Place?
        /// For people, such as `ip nat PREROUTING (iptables-legacy)`.
        public var name: String

        public init(means: Means, hook: Hook, families: Set<Family>, priority: Int32, place: Place?, name: String) {
            self.means = means
            self.hook = hook
            self.families = families
            self.priority = priority
            self.place = place
            self.name = name
        }
    }

    public var tables: [Family: Table]
    /// nil if the guard's table is not there.
    public var guardChains: [Hook: GuardChain]?
    /// Somebody else has put something into the guard's table: that has to stay.
    public var isGuardShared = false
    /// The guard's rules ask the program at our pin, or there is nothing in its table. Otherwise it is that of a daemon that
    /// has other pins.
    public var isGuardOurs = true
    public var interceptions: [Interception]
    public var entry: Entry?
    /// CLOCK_BOOTTIME in nanoseconds when the entry was read.
    public var now: UInt64

    public init(
        tables: [Family: Table] = [:], guardChains: [Hook: GuardChain]? = nil, interceptions: [Interception] = [],
        entry: Entry? = nil, now: UInt64
    ) {
        self.tables = tables
        self.guardChains = guardChains
        self.interceptions = interceptions
        self.entry = entry
        self.now = now
    }

    /// Whether there is neither a rule of ours nor our guard.
    public var holdsNothingOfOurs: Bool { ownChains.isEmpty }

    /// Whether something of ours stands here and no bypass is on: it does nothing, and nobody else takes it away.
    public var holdsLeftovers: Bool {
        !holdsNothingOfOurs && entry?.isLive(at: now) != true
    }

    /// The chains in which something of ours stands, as people name them.
    public var ownChains: [String] {
        let places = Family.allCases.flatMap { family in Hook.allCases.map { Place(family, $0) } }
        let hasGuard = guardChains != nil && isGuardOurs
        return places.filter { chain($0)?.own.isEmpty == false }.map(\.chain)
            + (hasGuard ? ["table inet \(Guard.table)"] : [])
    }

    /// Whether everything of ours, and what matters of others', is as in another look.
    func hasSameRuleset(as other: Observation) -> Bool {
        (tables, guardChains, isGuardShared, isGuardOurs)
            == (other.tables, other.guardChains, other.isGuardShared, other.isGuardOurs)
    }

    func chain(_ place: Place) -> Chain? {
        tables[place.family]?.chains[place.hook]
    }

    /// What was made and is still there. A mark of what is not there would take away, at `off`, what somebody else makes.
    var standing: Set<Made> {
        (entry?.made ?? []).filter { made in
            switch made {
            case .table(let family): tables[family] != nil
            case .chain(let place): chain(place)?.isClosed == false
            }
        }
    }

    /// Whether the guard takes the first packets of this family's connections at a hook.
    func isGuarded(_ place: Place) -> Bool {
        guardChains?[place.hook]?.covers([place.family]) ?? false
    }

    /// The families that the bypass was made for: without IPv6 where the kernel could do no nat for it.
    var families: [Family] {
        let ipOnly = guardChains?.values.allSatisfy { $0 == .intact([.ip]) } ?? false
        let hasOwnIP6 = tables[.ip6]?.chains.values.contains { !$0.own.isEmpty } ?? false
        return ipOnly && guardChains?.isEmpty == false && !hasOwnIP6 ? [.ip] : Family.allCases
    }
}
