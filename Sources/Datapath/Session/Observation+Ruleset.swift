internal import Bypass
internal import BypassAPI
internal import Linux
internal import Netfilter

extension Observation {
    /// The part that nf_tables shows.
    ///
    /// - Parameters:
    ///   - pin: what makes a rule ours: it asks the program that is pinned there.
    ///   - masks: those that are recognized.
    init(_ ruleset: Ruleset, pin: String, masks: [PreparedMask]) {
        self.init(now: 0)
        isSettled = ruleset.isSettled
        let rules = Dictionary(grouping: ruleset.rules, by: \.chain)
        for family in Bypass.Family.allCases {
            tables[family] = Table(family, ruleset, rules, pin)
        }
        guardChains = Self.guardChains(ruleset, rules, pin)
        maskChains = Self.maskChains(ruleset, rules, masks)
        isGuardShared =
            Self.guardTable(ruleset).map { Int($0.use) > (guardChains?.count ?? 0) + maskChains.count } ?? false
        isGuardOurs = Self.isGuardOurs(ruleset, pin)
        redirects = ruleset.redirects.all.compactMap { Redirect($0) }
        untracking = ruleset.untracking.compactMap(Untracking.init)
        unreadable = ruleset.unreadable.map(Unreadable.init)
        foreignBypasses = ruleset.bareVerdicts.compactMap(ForeignBypass.init)
    }

    /// The same, with what is not in nf_tables.
    func merging(legacy: LegacyTables?, entry: MapEntry?, now: UInt64) -> Observation {
        var whole = self
        if let legacy {
            whole.redirects += legacy.redirects.compactMap { Redirect($0) }
            whole.untracking += legacy.untracking.compactMap(Untracking.init)
            whole.unreadable += legacy.unreadable.map(Unreadable.init)
            whole.foreignBypasses += legacy.bareVerdicts.compactMap(ForeignBypass.init)
        }
        whole.entry = entry
        whole.now = now
        return whole
    }

    private static func guardTable(_ ruleset: Ruleset) -> Ruleset.Table? {
        ruleset.tables.first { ($0.family, $0.name) == RuleTemplates.guardTable }
    }

    private static func isGuardOurs(_ ruleset: Ruleset, _ pin: String) -> Bool {
        guard let table = guardTable(ruleset) else { return true }
        let chains = ruleset.chains.filter { ($0.name.family, $0.name.table) == RuleTemplates.guardTable }
        if Int(table.use) == chains.count && chains.allSatisfy({ $0.use == 0 }) { return true }
        return ruleset.rules.contains {
            ($0.chain.family, $0.chain.table) == RuleTemplates.guardTable
                && $0.expressions.contains(.matchBPF(pin: pin))
        }
    }

    private static func guardChains(
        _ ruleset: Ruleset, _ rules: [ChainName: [Ruleset.Rule]], _ pin: String
    ) -> PairMap<Bypass.Hook, GuardChain>? {
        guard let table = guardTable(ruleset) else { return nil }
        var found: PairMap<Bypass.Hook, GuardChain> = [:]
        for hook in Bypass.Hook.allCases {
            guard let chain = ruleset.chains.first(where: { $0.name == hook.guardChain }) else { continue }
            let base = BaseChain(type: "nat", hook: hook.netfilter, priority: Guard.priority)
            guard chain.base == base, !table.isDormant else {
                found[hook] = .damaged
                continue
            }
            let guarded = rules[chain.name, default: []].lazy.map { $0.guarded(pin) }
            guard let traffic = guarded.first??.traffic else {
                found[hook] = .damaged
                continue
            }
            let families = guarded.prefix { $0?.traffic == traffic }.compactMap { $0?.family }
            found[hook] = .intact(FamilySet(families), traffic)
        }
        return found
    }
}

extension Observation {
    private static func maskChains(
        _ ruleset: Ruleset, _ rules: [ChainName: [Ruleset.Rule]], _ masks: [PreparedMask]
    ) -> PairMap<MaskChain, MaskHalf> {
        var found: PairMap<MaskChain, MaskHalf> = [:]
        for half in MaskChain.allCases {
            guard let chain = ruleset.chains.first(where: { $0.name == half.chainName }) else { continue }
            let isInPlace = chain.base == half.base && guardTable(ruleset)?.isDormant == false
            // The rules of `unmask` are the same whatever is hidden: the first mask is that which hides most.
            let made = masks.first { $0.isMade(of: rules[chain.name, default: []], in: chain.name) }
            found[half] = made.flatMap { isInPlace ? .intact($0.mask) : nil } ?? .damaged
        }
        return found
    }
}

extension Observation.Table {
    fileprivate init?(
        _ family: Bypass.Family, _ ruleset: Ruleset, _ rules: [ChainName: [Ruleset.Rule]], _ pin: String
    ) {
        guard
            let table = ruleset.tables.first(where: {
                $0.family == family.netfilter && $0.name == RuleTemplates.natTable
            })
        else { return nil }
        self.init()
        if table.hasOwner {
            // Nothing in it can be changed, so it does not matter what is in it.
            for hook in Bypass.Hook.allCases { chains[hook] = .init(hasForeignRules: true, isClosed: true) }
            hasForeignObjects = true
            return
        }
        for hook in Bypass.Hook.allCases {
            let name = NATChain(family, hook).chainName
            guard let chain = ruleset.chains.first(where: { $0.name == name }) else { continue }
            let inChain = rules[name, default: []]
            let own = inChain.filter { $0.isOurs(pin) }
            // Where it filters, a RETURN would let through what others block; at another hook it would meet other packets.
            let isNat = chain.base?.type == "nat" && chain.base?.hook == hook.netfilter
            chains[hook] = Observation.Chain(
                own: own.map(\.handle), ownIsFirst: isNat && own.first?.position == 0,
                ownTraffic: own.first?.ownTraffic ?? .all, hasForeignRules: Int(chain.use) > own.count, isClosed: !isNat
            )
        }
        hasForeignObjects = Int(table.use) > chains.count
    }
}

extension Ruleset.Rule {
    /// Whether this is the rule that we insert, in every word.
    func isOurs(_ pin: String) -> Bool {
        let rule = expressions.first == .addressTypeIsLocal ? expressions.dropFirst() : expressions[...]
        guard rule.count == 3, case .counter = rule[rule.startIndex + 1] else { return false }
        return rule.first == .matchBPF(pin: pin) && rule.last == .returnVerdict
    }

    /// The connections that such a rule is for.
    var ownTraffic: Traffic { expressions.first == .addressTypeIsLocal ? .local : .all }

    /// The traffic that a rule of the guard is for; nil for any other rule.
    func guarded(_ pin: String) -> (family: Bypass.Family, traffic: Traffic)? {
        let traffic: Traffic
        switch (expressions.count, expressions.dropFirst(3).first) {
        case (6, _): traffic = .all
        case (8, .comparison(let isEqual)): traffic = isEqual ? .local : .forwarded
        default: return nil
        }
        let rule = expressions.suffix(4)
        guard rule.first == .matchBPF(pin: pin), case .counter = rule[rule.startIndex + 1],
            case .destinationNat(let family) = rule.last
        else { return nil }
        return family == .ip ? (.ip, traffic) : family == .ip6 ? (.ip6, traffic) : nil
    }
}

extension Observation.OtherNat {
    init(_ found: OtherNat) {
        let hooks = found.hooks.map { $0 == .output ? Bypass.Hook.output : .prerouting }
        self.init(
            hooks: HookSet(hooks), chain: found.chain.forPeople, rule: found.description, scope: Scope(found))
    }
}

extension Scope {
    /// The connections that a rule is for, as far as ports and the other side tell. Of inbound ones the rule's destination is
    /// not the other side.
    fileprivate init(_ found: OtherNat) {
        let ports = found.ports.flatMap { try? PortRange(Int($0.lowerBound), to: Int($0.upperBound)) }
        let destination = found.hooks == [.output] ? found.destination : nil
        let address = destination.flatMap { InternetAddress(bytes: $0.bytes) }
        self.init(
            only: try? ConnectionSet(
                ports: ports.map { [$0] } ?? [],
                networks: address.map { [IPNetwork(containing: $0, length: 128)] } ?? []))
    }
}

extension ForeignBypass {
    /// nil for a rule in another chain than those that a bypass covers.
    fileprivate init?(_ found: BareVerdict) {
        let natChains = Bypass.Family.allCases.flatMap { family in Bypass.Hook.allCases.map { NATChain(family, $0) } }
        guard let natChain = natChains.first(where: { $0.chainName == found.chain }) else { return nil }
        self.init(natChain, found.verdict == .accept ? .accept : .returnToCaller, handle: found.handle)
    }
}

extension Observation.Untracking {
    /// nil in a family that a bypass does not cover.
    fileprivate init?(_ found: Netfilter.Untracking) {
        let families = FamilySet(found.chain.family)
        if families.isEmpty { return nil }
        self.init(
            families: families, isForTCP: found.isForTCP, isForUDP: found.isForUDP,
            chain: found.chain.forPeople + (found.backend == .legacy ? " (iptables-legacy)" : ""),
            rule: "rule \(found.number)" + (found.handle.map { " (handle \($0))" } ?? ""))
    }
}

extension FamilySet {
    /// Those that tables of a family are for; none that a bypass does not cover.
    fileprivate init(_ family: Netfilter.Family) {
        switch family {
        case .ip: self = [.ip]
        case .ip6: self = [.ip6]
        case .inet: self = [.ip, .ip6]
        case .arp, .netdev, .bridge: self = []
        }
    }
}

extension Observation.Unreadable {
    fileprivate init(_ found: UnreadableRules) {
        self.init(rules: found.rules.printable(upTo: 128), reason: found.reason)
    }
}

extension Observation.Redirect {
    /// nil for a redirect in a family that a bypass does not cover, and for a chain that only marks packets.
    ///
    /// - Parameter mark: the mechanism of such a chain, where it counts.
    init?(_ found: Netfilter.Redirect, mark: Mechanism? = nil) {
        let families = FamilySet(found.chain.family)
        if families.isEmpty { return nil }
        guard let mechanism = Mechanism(found.mechanism) ?? mark else { return nil }
        let hook: Bypass.Hook = found.hook == .output ? .output : .prerouting
        // iptables-legacy has a chain of the same name, in tables of its own.
        let natChain = families.first.map { NATChain($0, hook) }
            .flatMap { found.backend == .nftables && $0.chainName == found.chain ? $0 : nil }
        self.init(
            mechanism: mechanism, hook: hook, families: families, priority: found.priority,
            sources: SourceSet(found.sources), natChain: natChain,
            name: found.chain.forPeople + (found.backend == .legacy ? " (iptables-legacy)" : ""), further: found.further
        )
        takesDatagrams = found.takesDatagrams
    }
}

extension Observation.Redirect.Mechanism {
    fileprivate init?(_ found: Netfilter.Redirect.Mechanism) {
        switch found {
        case .nat: self = .nat
        case .transparentProxy: self = .transparentProxy
        case .mark: return nil
        }
    }
}

extension SourceSet {
    fileprivate init(_ found: Netfilter.Redirect.Sources) {
        self.init()
        if found.contains(.outside) { insert(.outside) }
        if found.contains(.loopback) { insert(.loopback) }
        if found.contains(.namedInterface) { insert(.namedInterface) }
    }
}

extension ChainName {
    /// A pod chooses the names.
    fileprivate var forPeople: String { "\(family.name) \(table.asPartOfSentence) \(chain.asPartOfSentence)" }
}
