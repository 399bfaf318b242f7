import Bypass

let both = Set(Hook.allCases)
let ipOutput = Place(.ip, .output)
let ipPrerouting = Place(.ip, .prerouting)

extension Observation {
    /// A namespace as iptables-nft leaves it behind Istio's init container: rules in both chains, and chains of its own.
    static func istio(_ families: [Family] = Family.allCases) -> Observation {
        let chain = Chain(hasForeignRules: true)
        let table = Table(chains: [.prerouting: chain, .output: chain], hasForeignObjects: true)
        return Observation(tables: Dictionary(uniqueKeysWithValues: families.map { ($0, table) }), now: 10)
    }

    /// The same, bypassed, with rule handles 7 (PREROUTING) and 8 (OUTPUT).
    static func bypassedIstio(_ hooks: Set<Hook> = both, deadline: UInt64 = 0) -> Observation {
        var observation = istio()
        for family in Family.allCases {
            for hook in hooks {
                let handle: UInt64 = hook == .prerouting ? 7 : 8
                observation.tables[family]?.chains[hook] = .init(
                    own: [handle], ownIsFirst: true, hasForeignRules: true)
            }
        }
        observation.guardChains = Dictionary(
            uniqueKeysWithValues: hooks.map { ($0, .intact(Set(Family.allCases))) })
        observation.entry = Entry(deadline: deadline, hooks: hooks)
        return observation
    }

    /// Nothing but what the daemon made.
    static func bypassedNothing() -> Observation {
        var observation = Observation(now: 10)
        var made: Set<Made> = []
        for family in Family.allCases {
            let chain = Chain(own: [1], ownIsFirst: true)
            observation.tables[family] = Table(chains: [.prerouting: chain, .output: chain])
            made.formUnion([.table(family), .chain(Place(family, .prerouting)), .chain(Place(family, .output))])
        }
        observation.guardChains = [.prerouting: .intact([.ip, .ip6]), .output: .intact([.ip, .ip6])]
        observation.entry = Entry(deadline: 0, hooks: both, made: made)
        return observation
    }

    mutating func setChain(_ place: Place, _ chain: Chain?) {
        tables[place.family]?.chains[place.hook] = chain
    }
}

extension Plan {
    /// Steps that concern one family's tables only, for tests that look at one.
    func touching(_ family: Family) -> [Action] {
        actions.filter { action in
            switch action {
            case .makeTable(let other), .deleteTable(let other): other == family
            case .makeChain(let place), .insertRule(let place), .deleteRule(let place, _), .deleteChain(let place):
                place.family == family
            default: false
            }
        }
    }
}
