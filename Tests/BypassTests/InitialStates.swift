@testable import Bypass

/// What a namespace may be like before the daemon ever comes near it.
enum InitialState: String, CaseIterable, Sendable {
    case nothing, emptyTable, halfTable, istio, istioWithSets, istioForIPv4
    /// A chain in iptables' place that is another one, and a guard's table with something of another program's in it.
    case strangers

    var namespace: ModelNamespace {
        var namespace = ModelNamespace()
        switch self {
        case .nothing: break
        case .emptyTable: namespace.tables = [.ip: .init(), .ip6: .init()]
        case .halfTable:
            namespace.tables[.ip] = .init(chains: [.output: []])
            namespace.tables[.ip6] = .init(chains: [.output: []])
            namespace.addForeignRule(NATChain(.ip, .output))
        case .strangers:
            namespace.tables[.ip] = .init(chains: [.prerouting: [], .output: []], closed: [.output])
            namespace.addForeignRule(NATChain(.ip, .output))
            namespace.guardChains = [:]
            namespace.isGuardShared = true
        case .istio, .istioWithSets, .istioForIPv4:
            let chains: PairMap<Hook, [ModelNamespace.Rule]> = [.prerouting: [], .output: []]
            let families: [Family] = self == .istioForIPv4 ? [.ip] : Family.allCases
            for family in families {
                namespace.tables[family] = .init(chains: chains, hasForeignObjects: self == .istioWithSets)
                for hook in Hook.allCases { namespace.addForeignRule(NATChain(family, hook)) }
            }
        }
        return namespace.canonical
    }

    /// Every state that wishes, crashes between two steps and the programs of others lead to.
    func reachable(families: [Family], _ disturbances: [Disturbance]) throws -> Set<ModelNamespace> {
        // Handles are forgotten in between: states that differ in nothing else are one.
        var reached: Set<ModelNamespace> = [namespace]
        var waiting = [namespace]
        while let state = waiting.popLast() {
            var next = disturbances.compactMap { $0.applied(to: state) }
            for desired in DesiredState.samples {
                var copy = state
                next += try copy.execute(Plan(for: desired, given: state.observation, families: families).actions)
            }
            for state in next.map(\.canonical) where reached.insert(state).inserted { waiting.append(state) }
        }
        return reached
    }
}

/// What others, or time, do to a namespace behind the daemon's back.
enum Disturbance: CaseIterable, Sendable {
    /// A sidecar inserts a rule before ours.
    case foreignRuleFirst
    /// `nft flush ruleset`.
    case flushRuleset
    case guardGone
    case guardChainGone
    case unmaskGone
    /// A sidecar's init comes late.
    case tproxyAdded
    /// It takes UDP, too, and another family.
    case tproxyWidened
    /// The pinned map was replaced: rules that stand ask one that no one writes to.
    case mapLost
    case deadlinePasses

    /// Those that leave TPROXY out, without which there are far fewer states.
    static let usual = allCases.filter { ![.tproxyAdded, .tproxyWidened, .unmaskGone].contains($0) }

    /// nil if it would change nothing new.
    func applied(to state: ModelNamespace) -> ModelNamespace? {
        var state = state
        let natChain = NATChain(.ip, .output)
        switch self {
        case .foreignRuleFirst:
            guard let rules = state.tables[.ip]?.chains[.output], rules.first?.isOurs == true,
                rules.count(where: { !$0.isOurs }) < 2
            else { return nil }
            state.addForeignRule(natChain)
        case .flushRuleset:
            state.tables = [:]
            state.guardChains = nil
            state.maskChains = [:]
            state.tproxy = nil
            state.isGuardShared = false
        case .guardGone:
            state.guardChains = nil
            state.maskChains = [:]
            state.isGuardShared = false
        case .guardChainGone: state.guardChains?[.output] = nil
        case .unmaskGone: state.maskChains[.unmask] = nil
        case .tproxyAdded: state.tproxy = state.tproxy ?? Mask([.ip], hidesDatagrams: false)
        case .tproxyWidened: state.tproxy = state.tproxy.map { _ in Mask([.ip, .ip6]) }
        case .mapLost:
            state.entry = nil
            state.changeRules { rules in
                rules.map { .init(handle: $0.handle, isOurs: $0.isOurs, isStale: $0.isOurs, traffic: $0.traffic) }
            }
            state.guardChains = state.guardChains?.mapValues {
                .init(families: $0.families, isStale: true, traffic: $0.traffic)
            }
            state.maskChains = state.maskChains.mapValues { .init(mask: $0.mask, isStale: true) }
        case .deadlinePasses:
            guard let deadline = state.entry?.deadline, deadline > MapEntry.expired else { return nil }
            state.entry?.deadline = state.now
        }
        return state
    }
}

extension DesiredState {
    static let samples: [DesiredState] = [
        .on(HookSet(Hook.allCases), deadline: 0), .on(HookSet(Hook.allCases), deadline: 1000),
        .on([.prerouting], deadline: 0), .on([.output], deadline: 1000), .off,
    ]
}

extension ModelNamespace {
    mutating func addForeignRule(_ natChain: NATChain) {
        let rule = Rule(handle: nextHandle(), isOurs: false)
        tables[natChain.family]?.chains[natChain.hook]?.insert(rule, at: 0)
    }

    mutating func changeRules(_ change: ([Rule]) -> [Rule]) {
        tables = tables.mapValues { table in
            Table(
                chains: table.chains.mapValues(change), hasForeignObjects: table.hasForeignObjects,
                closed: table.closed)
        }
    }

    /// What has to be left when the bypass has gone: all that is not ours.
    var withoutBypass: ModelNamespace {
        var rest = self
        let created = entry?.created ?? []
        rest.entry = nil
        rest.guardChains = isGuardShared ? [:] : nil
        rest.maskChains = [:]
        for (family, table) in tables {
            for (hook, rules) in table.chains {
                let foreign = rules.filter { !$0.isOurs }
                let isOurs = created.contains(.chain(NATChain(family, hook))) && foreign.isEmpty
                rest.tables[family]?.chains[hook] = isOurs ? nil : foreign
            }
            let isEmpty = rest.tables[family]?.chains.isEmpty ?? true
            if isEmpty && created.contains(.table(family)) && !table.hasForeignObjects { rest.tables[family] = nil }
        }
        return rest.canonical
    }
}
