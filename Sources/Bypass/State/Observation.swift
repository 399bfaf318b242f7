package import BypassAPI

/// The state of a namespace and of its entry in the matcher's map.
package struct Observation: Hashable, Sendable {
    /// A chain of iptables' nat table.
    package struct Chain: Hashable, Sendable {
        /// The handles of our rules in it, in their order.
        package var own: [UInt64]
        /// Whether the chain's first rule is ours.
        package var ownIsFirst: Bool
        /// The connections that the first of our rules is for.
        package var ownTraffic: Traffic
        /// Whether there are rules of others.
        package var hasForeignRules: Bool
        /// Whether our rule has no place here: this is not iptables' chain, though it has the name, or its table belongs
        /// to another process. The guard does without.
        package var isClosed: Bool

        package init(
            own: [UInt64] = [], ownIsFirst: Bool = false, ownTraffic: Traffic = .all, hasForeignRules: Bool = false,
            isClosed: Bool = false
        ) {
            self.own = own
            self.ownIsFirst = ownIsFirst
            self.ownTraffic = ownTraffic
            self.hasForeignRules = hasForeignRules
            self.isClosed = isClosed
        }
    }

    /// iptables' nat table of one family.
    package struct Table: Hashable, Sendable {
        package var chains: PairMap<Hook, Chain>
        /// Whether there is anything in it besides `chains`.
        package var hasForeignObjects: Bool

        package init(chains: PairMap<Hook, Chain> = [:], hasForeignObjects: Bool = false) {
            self.chains = chains
            self.hasForeignObjects = hasForeignObjects
        }
    }

    /// A chain of the guard's table.
    package enum GuardChain: Hashable, Sendable {
        /// Where and what it was made as, with nothing before its rules, which are for these families and this traffic.
        case intact(FamilySet, Traffic = .all)
        case damaged

        func covers(_ families: FamilySet) -> Bool {
            if case .intact(let covered, _) = self { covered.isSuperset(of: families) } else { false }
        }

        /// nil if there is none of this family.
        func traffic(of family: Family) -> Traffic? {
            if case .intact(let covered, let traffic) = self, covered.contains(family) { traffic } else { nil }
        }
    }

    /// One of the mask's two chains.
    package enum MaskHalf: Hashable, Sendable {
        /// Where and what it was made as, for these packets. `unmask` is for all that `mask` may have written to.
        case intact(Mask)
        case damaged
    }

    /// A base chain that takes connections to a proxy.
    package struct Redirect: Hashable, Sendable {
        package enum Mechanism: Hashable, Sendable {
            case nat, transparentProxy
            /// Marks packets that leave, and a routing rule sends them to `lo`, where TPROXY takes them. Or why it is not known
            /// whether one does.
            case mark(unknown: String?)
        }

        package var mechanism: Mechanism
        package var hook: Hook
        /// One, or both for a chain of family inet.
        package var families: FamilySet
        package var priority: Int32
        /// The interfaces whose packets it takes, in PREROUTING.
        package var sources: SourceSet
        /// Whether it may take UDP, too. Known of TPROXY alone.
        package var takesDatagrams = true
        /// iptables' own nat chain, where it is one: our RETURN at its head overrides it.
        package var natChain: NATChain?
        /// For people, such as `ip nat PREROUTING (iptables-legacy)`.
        package var name: String
        /// The number of redirects of the same kind, of the same priority or later, that are not listed.
        package var further: Int

        package init(
            mechanism: Mechanism, hook: Hook, families: FamilySet, priority: Int32,
            sources: SourceSet = [.outside, .loopback], natChain: NATChain?, name: String, further: Int = 0
        ) {
            self.mechanism = mechanism
            self.hook = hook
            self.families = families
            self.priority = priority
            self.sources = sources
            self.natChain = natChain
            self.name = name
            self.further = further
        }
    }

    /// Rules of which it is not known whether they take connections to a proxy.
    package struct Unreadable: Hashable, Sendable {
        /// For people, such as `ip nat (iptables-legacy)`.
        package var rules: String
        package var reason: String

        package init(rules: String, reason: String) {
            self.rules = rules
            self.reason = reason
        }
    }

    /// Another program's rule that has conntrack ignore packets. The mask does not apply to those.
    package struct Untracking: Hashable, Sendable {
        package var families: FamilySet
        /// Whether it may be for TCP, and for UDP.
        package var isForTCP: Bool
        package var isForUDP: Bool
        /// For people, such as `ip raw PREROUTING`.
        package var chain: String
        /// Its place in the chain, for people.
        package var rule: String

        package init(families: FamilySet, isForTCP: Bool, isForUDP: Bool, chain: String, rule: String) {
            (self.families, self.isForTCP, self.isForUDP) = (families, isForTCP, isForUDP)
            (self.chain, self.rule) = (chain, rule)
        }
    }

    /// Another program's rule that changes destinations, and leads to no proxy.
    package struct OtherNat: Hashable, Sendable {
        package var hooks: HookSet
        /// For people, such as `ip nat DOCKER_OUTPUT`.
        package var chain: String
        /// In iptables' words.
        package var rule: String
        /// The connections that it is for, and perhaps more.
        package var scope: Scope

        package init(hooks: HookSet, chain: String, rule: String, scope: Scope = .all) {
            self.hooks = hooks
            self.chain = chain
            self.rule = rule
            self.scope = scope
        }

        /// Whether a bypass may take connections that the rule is for.
        func isOverridden(by entry: MapEntry) -> Bool {
            let isOutside = entry.scope.only.map { scope.isSubset(of: Scope(except: $0)) } ?? false
            let isExcepted = entry.scope.except.map { scope.isSubset(of: Scope(only: $0)) } ?? false
            return !hooks.isDisjoint(with: entry.hooks) && !isOutside && !isExcepted
        }
    }

    package var tables: PairMap<Family, Table>
    /// nil if the guard's table is not there.
    package var guardChains: PairMap<Hook, GuardChain>?
    /// The chains in the guard's table that hide new inbound connections from TPROXY.
    package var maskChains: PairMap<MaskChain, MaskHalf> = [:]
    /// Another program has put something into the guard's table: that has to stay.
    package var isGuardShared = false
    /// The guard's rules ask the program at our pin, or there is nothing in its table. Otherwise it is that of a daemon that
    /// has other pins.
    package var isGuardOurs = true
    package var redirects: [Redirect]
    package var untracking: [Untracking] = []
    package var unreadable: [Unreadable] = []
    package var otherNat: [OtherNat] = []
    /// The number of further rules like those.
    package var furtherOtherNat = 0
    package var foreignBypasses: [ForeignBypass] = []
    /// Whether the observation is consistent. If not, other programs changed the ruleset while it was read: redirects,
    /// and the order of rules, may be out of date.
    package var isSettled = true
    /// The kernel has refused the mask: it lacks what its rules are made of.
    package var lacksMask = false
    package var entry: MapEntry?
    /// CLOCK_BOOTTIME in nanoseconds when the entry was read.
    package var now: UInt64

    package init(
        tables: PairMap<Family, Table> = [:], guardChains: PairMap<Hook, GuardChain>? = nil, redirects: [Redirect] = [],
        entry: MapEntry? = nil, now: UInt64
    ) {
        self.tables = tables
        self.guardChains = guardChains
        self.redirects = redirects
        self.entry = entry
        self.now = now
    }

    /// Whether there is neither a rule of ours nor our guard.
    package var holdsNothingOfOurs: Bool { ownChains.isEmpty }

    /// Whether something of ours stands here and no bypass is on: it does nothing, and no other program removes it.
    package var holdsLeftovers: Bool {
        !holdsNothingOfOurs && entry?.isLive(at: now) != true
    }

    /// The chains in which something of ours stands, as people name them.
    package var ownChains: [String] {
        let natChains = Family.allCases.flatMap { family in Hook.allCases.map { NATChain(family, $0) } }
        let hasGuard = guardChains != nil && isGuardOurs
        return natChains.filter { chain($0)?.own.isEmpty == false }.map(\.name)
            + (hasGuard ? ["table inet \(Guard.table)"] : [])
    }

    /// Whether everything of ours, and what matters of others', is as in another observation.
    func hasSameRuleset(as other: Observation) -> Bool {
        (tables, guardChains, maskChains, isGuardShared, isGuardOurs)
            == (other.tables, other.guardChains, other.maskChains, other.isGuardShared, other.isGuardOurs)
    }

    func chain(_ natChain: NATChain) -> Chain? {
        tables[natChain.family]?.chains[natChain.hook]
    }

    /// The created objects that still exist. `off` would remove another program's object if it had the mark of one that is gone.
    var standing: CreatedObjectSet {
        (entry?.created ?? []).filter { created in
            switch created {
            case .table(let family): tables[family] != nil
            case .chain(let natChain): chain(natChain)?.isClosed == false
            // Not what exists but what is wanted: it is created again where it is missing.
            case .mask: true
            }
        }
    }

    /// The first packets of this family's connections that the guard takes at a hook; nil for none.
    func guardedTraffic(_ natChain: NATChain) -> Traffic? {
        guardChains?[natChain.hook]?.traffic(of: natChain.family)
    }

    /// The mask, if both its chains are there and one writes back what the other one writes.
    var mask: Mask? {
        guard case .intact(let mask) = maskChains[.mask], case .intact(let unmask) = maskChains[.unmask],
            unmask.covers(mask)
        else { return nil }
        return mask
    }

    /// The families that the bypass was made for: without IPv6 where the kernel could do no nat for it.
    var families: [Family] {
        let ipOnly = guardChains?.allValues { $0.covers([.ip]) && !$0.covers([.ip6]) } ?? false
        let hasOwnIP6 = tables[.ip6].map { table in !table.chains.allValues { $0.own.isEmpty } } ?? false
        return ipOnly && guardChains?.isEmpty == false && !hasOwnIP6 ? [.ip] : Family.all
    }
}

extension Observation {
    /// Whether something redirects connections to a proxy, unless it is overridden; nil if that is not known.
    package var isRedirected: Bool? {
        if !redirects.isEmpty { return true }
        return unreadable.isEmpty && isSettled ? false : nil
    }
}

extension Observation {
    /// Connections from here to single addresses and ports for which other programs have rules: if the mesh would not take
    /// them, they can be left out of a bypass, and the rules go on working. nil if there are none. One set is for all of its
    /// ports at all of its addresses, so of rules for several ports the first decides.
    package func exemptable(with hooks: HookSet) -> ConnectionSet? {
        guard hooks.contains(.output) else { return nil }
        let sets = otherNat.compactMap { other -> ConnectionSet? in
            guard other.hooks == [.output], let set = other.scope.only, let network = set.networks.first,
                network == IPNetwork(containing: network.address, length: 128),
                let ports = set.ports.first, ports.first == ports.last
            else { return nil }
            return set
        }
        guard let ports = sets.first?.ports else { return nil }
        let networks = Set(sets.filter { $0.ports == ports }.flatMap(\.networks)).sorted()
        return try? ConnectionSet(ports: ports, networks: Array(networks.prefix(ConnectionSet.maxNetworks)))
    }
}
