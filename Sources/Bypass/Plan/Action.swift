/// One step towards the desired state. Actions are data: the planner writes them down, one place executes them.
///
/// Steps in the ruleset that stand next to each other are one batch, which the kernel executes as a whole.
package enum Action: Hashable, Sendable {
    /// iptables' nat table.
    case createTable(Family)
    case createChain(NATChain)
    /// Our RETURN at the head of the chain, for all or for local traffic.
    case insertRule(NATChain, Traffic = .all)
    case deleteRule(NATChain, handle: UInt64)
    case deleteChain(NATChain)
    case deleteTable(Family)
    /// The guard's own table.
    case createGuardTable
    /// A chain of the guard's, with its rules for these families.
    case createGuardChain(Hook, [Family], Traffic = .all)
    /// Other rules in a chain of the guard's: no packet finds it without rules.
    case replaceGuardRules(Hook, [Family], Traffic)
    case deleteGuardChain(Hook)
    /// Both of the mask's chains in the guard's table, with their rules.
    case createMask(Mask)
    case deleteMaskChain(MaskChain)
    /// With all that is in it.
    case deleteGuardTable
    /// The switch. A step of its own, at once in force.
    case setEntry(MapEntry)
    case removeEntry

    package var createsMask: Bool { if case .createMask = self { true } else { false } }

    /// Whether it is executed in the ruleset, not in the matcher's map.
    package var isInRuleset: Bool {
        switch self {
        case .setEntry, .removeEntry: false
        default: true
        }
    }

    /// The table that the action changes: leftovers are removed table by table. nil for the matcher's map.
    var part: Part? {
        switch self {
        case .createTable(let family), .deleteTable(let family): .nat(family)
        case .createChain(let natChain), .insertRule(let natChain, _), .deleteRule(let natChain, _),
            .deleteChain(let natChain):
            .nat(natChain.family)
        case .createGuardTable, .createGuardChain, .replaceGuardRules, .deleteGuardChain, .createMask,
            .deleteMaskChain, .deleteGuardTable:
            .guardTable
        case .setEntry, .removeEntry: nil
        }
    }

    enum Part: Hashable, CaseIterable {
        case guardTable
        case nat(Family)

        static let allCases: [Part] = [.guardTable] + Family.all.map(nat)
    }

    /// The table or chain that the action changes, as `nft` names it; nil for the matcher's map.
    var place: String? {
        switch self {
        case .createTable(let family), .deleteTable(let family): "table \(family == .ip ? "ip" : "ip6") nat"
        case .createChain(let natChain), .insertRule(let natChain, _), .deleteRule(let natChain, _),
            .deleteChain(let natChain):
            natChain.name
        case .createGuardTable, .createMask, .deleteGuardTable: "table inet \(Guard.table)"
        case .createGuardChain(let hook, _, _), .replaceGuardRules(let hook, _, _), .deleteGuardChain(let hook):
            "inet \(Guard.table) \(hook.chain)"
        case .deleteMaskChain(let chain): "inet \(Guard.table) \(chain.name)"
        case .setEntry, .removeEntry: nil
        }
    }
}

extension Observation {
    /// The observation after an action in the ruleset that the kernel has executed, with nothing else in between.
    ///
    /// - Parameter handle: of the rule that `insertRule` made.
    /// - Returns: false if that is only known after another observation.
    package mutating func apply(_ action: Action, handle: UInt64?) -> Bool {
        switch action {
        case .createTable(let family): tables[family] = tables[family] ?? Table()
        case .createChain(let natChain): tables[natChain.family]?.chains[natChain.hook] = Chain()
        case .insertRule(let natChain, let traffic):
            guard let handle else { return false }
            tables[natChain.family]?.chains[natChain.hook]?.own.insert(handle, at: 0)
            tables[natChain.family]?.chains[natChain.hook]?.ownIsFirst = true
            tables[natChain.family]?.chains[natChain.hook]?.ownTraffic = traffic
        case .deleteRule(let natChain, let handle):
            guard var chain = chain(natChain), let index = chain.own.firstIndex(of: handle) else { return false }
            chain.own.remove(at: index)
            // Which rule is first now, and what it is for, depends on the others.
            if index == 0 {
                guard chain.own.isEmpty else { return false }
                (chain.ownIsFirst, chain.ownTraffic) = (false, .all)
            }
            tables[natChain.family]?.chains[natChain.hook] = chain
        case .deleteChain(let natChain): tables[natChain.family]?.chains[natChain.hook] = nil
        case .deleteTable(let family): tables[family] = nil
        case .createGuardTable:
            guardChains = guardChains ?? [:]
            isGuardOurs = true
        case .createGuardChain(let hook, let families, let traffic),
            .replaceGuardRules(let hook, let families, let traffic):
            guardChains?[hook] = .intact(FamilySet(families), traffic)
        case .deleteGuardChain(let hook): guardChains?[hook] = nil
        case .createMask(let mask):
            maskChains = [.mask: .intact(mask), .unmask: .intact(Mask(mask.families))]
        case .deleteMaskChain(let chain): maskChains[chain] = nil
        case .deleteGuardTable:
            guardChains = nil
            maskChains = [:]
            isGuardShared = false
            isGuardOurs = true
        case .setEntry(let entry): self.entry = entry
        case .removeEntry: entry = nil
        }
        return true
    }
}
