import Bypass

let both = HookSet(Hook.allCases)
let ipOutput = NATChain(.ip, .output)
let ipPrerouting = NATChain(.ip, .prerouting)

extension Observation {
    /// A namespace as iptables-nft leaves it behind Istio's init container: rules in both chains, and chains of its own.
    static func istio(_ families: [Family] = Family.allCases) -> Observation {
        let chain = Chain(hasForeignRules: true)
        let table = Table(chains: [.prerouting: chain, .output: chain], hasForeignObjects: true)
        return Observation(tables: PairMap(uniqueKeysWithValues: families.map { ($0, table) }), now: 10)
    }

    /// The same, bypassed, with rule handles 7 (PREROUTING) and 8 (OUTPUT).
    static func bypassedIstio(_ hooks: HookSet = both, deadline: UInt64 = 0) -> Observation {
        var observation = istio()
        for family in Family.allCases {
            for hook in hooks {
                let handle: UInt64 = hook == .prerouting ? 7 : 8
                observation.tables[family]?.chains[hook] = .init(
                    own: [handle], ownIsFirst: true, ownTraffic: hooks.traffic(at: hook) ?? .all, hasForeignRules: true)
            }
        }
        observation.guardChains = PairMap(
            uniqueKeysWithValues: Hook.allCases.compactMap { hook in
                hooks.traffic(at: hook).map { (hook, .intact(FamilySet(Family.allCases), $0)) }
            })
        observation.entry = MapEntry(deadline: deadline, hooks: hooks)
        return observation
    }

    /// Nothing but what the daemon made.
    static func bypassedNothing() -> Observation {
        var observation = Observation(now: 10)
        var created: CreatedObjectSet = []
        for family in Family.allCases {
            let chain = Chain(own: [1], ownIsFirst: true)
            observation.tables[family] = Table(chains: [.prerouting: chain, .output: chain])
            created.formUnion([
                .table(family), .chain(NATChain(family, .prerouting)), .chain(NATChain(family, .output)),
            ])
        }
        observation.guardChains = [.prerouting: .intact([.ip, .ip6]), .output: .intact([.ip, .ip6])]
        observation.entry = MapEntry(deadline: 0, hooks: both, created: created)
        return observation
    }

    mutating func setChain(_ natChain: NATChain, _ chain: Chain?) {
        tables[natChain.family]?.chains[natChain.hook] = chain
    }
}

extension Plan {
    /// Steps that concern one family's tables only, for tests that look at one.
    func touching(_ family: Family) -> [Action] {
        actions.filter { action in
            switch action {
            case .createTable(let other), .deleteTable(let other): other == family
            case .createChain(let natChain), .insertRule(let natChain, _), .deleteRule(let natChain, _),
                .deleteChain(let natChain):
                natChain.family == family
            default: false
            }
        }
    }
}
