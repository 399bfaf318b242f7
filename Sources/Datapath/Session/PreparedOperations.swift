internal import Bypass
internal import Netfilter

/// The nf_tables operations of every action that there is, for one pin, with their messages built.
///
/// There are few actions: two families, two hooks, three kinds of traffic. What differs besides is only the handle of a rule to delete.
struct PreparedOperations: Sendable {
    /// By `Action.index`.
    private let operations: [[PreparedOperation]]

    /// The rules of a namespace that are read in full.
    let interest: Ruleset.Interest

    /// The rules of every mask that there is, by which it is recognized.
    let masks: [PreparedMask]

    /// The usual size of a batch.
    private static let usualCount = 16

    init(pin: String) {
        var operations: [[PreparedOperation]] = Array(repeating: [], count: Action.indexCount)
        for action in Action.samples {
            guard let index = action.index else { continue }
            operations[index] = RuleTemplates.operations(for: action, pin: pin).map(PreparedOperation.init)
        }
        self.operations = operations
        interest = RuleTemplates.interest(pin)
        masks = Mask.all.map { mask in
            let rules = Action.createMask(mask).index.map { operations[$0].compactMap(\.rule) } ?? []
            return PreparedMask(mask: mask, rules: Dictionary(grouping: rules, by: \.chain))
        }
    }

    /// The operations of an action; none if it is not in the ruleset.
    subscript(action: Action) -> [PreparedOperation] { action.index.map { operations[$0] } ?? [] }

    /// The batch that executes these actions.
    func transaction(of actions: ArraySlice<Action>) -> PreparedTransaction {
        var transaction = PreparedTransaction()
        transaction.reserveCapacity(Self.usualCount)
        for action in actions {
            var handle: UInt64?
            if case .deleteRule(_, let wanted) = action { handle = wanted }
            for operation in self[action] { transaction.append(operation, handle: handle) }
        }
        return transaction
    }
}

/// A mask, and the rules of its chains as the kernel shows them.
struct PreparedMask: Sendable {
    let mask: Mask
    fileprivate let rules: [ChainName: [Ruleset.Rule]]

    /// Whether these rules are those of a chain, in this order and in each expression's kind, whatever they have counted.
    func isMade(of found: [Ruleset.Rule], in chain: ChainName) -> Bool {
        let rules = rules[chain, default: []]
        return found.count == rules.count
            && zip(found, rules).allSatisfy { found, rule in
                var found = found
                found.counted = (0, 0)
                return found.expressions == rule.expressions
            }
    }
}

extension Action {
    fileprivate static let indexCount = 78

    /// A number of its own for every action in the ruleset, but for handles; nil for one that is not in the ruleset.
    fileprivate var index: Int? {
        switch self {
        case .createTable(let family): family.index
        case .deleteTable(let family): 2 + family.index
        case .createChain(let natChain): 4 + natChain.index
        case .insertRule(let natChain, let traffic): 26 + traffic.index * 4 + natChain.index
        case .deleteRule(let natChain, _): 8 + natChain.index
        case .deleteChain(let natChain): 12 + natChain.index
        case .createGuardTable: 16
        case .deleteGuardTable: 17
        case .deleteGuardChain(let hook): 18 + hook.index
        case .createGuardChain(let hook, let families, let traffic):
            38 + (traffic.index * 2 + hook.index) * 4 + families.index
        // Only that of PREROUTING has other rules in another direction.
        case .replaceGuardRules(_, let families, let traffic): 62 + traffic.index * 4 + families.index
        case .createMask(let mask): (mask.hidesDatagrams ? 20 : 74) + Int(mask.families.bits)
        case .deleteMaskChain(let chain): 24 + chain.number
        case .setEntry, .removeEntry: nil
        }
    }

    /// One of every kind.
    static let samples: [Action] = {
        var samples: [Action] = [.createGuardTable, .deleteGuardTable]
        samples += MaskChain.allCases.map { .deleteMaskChain($0) }
        samples += Mask.all.map { .createMask($0) }
        for family in Bypass.Family.allCases { samples += [.createTable(family), .deleteTable(family)] }
        let families: [[Bypass.Family]] = [[.ip], [.ip6], [.ip, .ip6]]
        for traffic in Traffic.allCases {
            samples += families.map { .replaceGuardRules(.prerouting, $0, traffic) }
            samples += families.map { .createGuardChain(.prerouting, $0, traffic) }
        }
        samples += families.map { .createGuardChain(.output, $0) }
        samples += Bypass.Family.allCases.map { .insertRule(NATChain($0, .prerouting), .local) }
        for hook in Bypass.Hook.allCases {
            samples.append(.deleteGuardChain(hook))
            for natChain in Bypass.Family.allCases.map({ NATChain($0, hook) }) {
                samples += [
                    .createChain(natChain), .insertRule(natChain), .deleteRule(natChain, handle: 0),
                    .deleteChain(natChain),
                ]
            }
        }
        return samples
    }()
}

extension NATChain {
    fileprivate var index: Int { family.index * 2 + hook.index }
}

extension [Bypass.Family] {
    fileprivate var index: Int { reduce(0) { $0 | 1 << $1.index } }
}

extension Traffic {
    fileprivate var index: Int {
        switch self {
        case .all: 0
        case .local: 1
        case .forwarded: 2
        }
    }
}

extension Bypass.Family {
    fileprivate var index: Int { self == .ip ? 0 : 1 }
}

extension Bypass.Hook {
    fileprivate var index: Int { self == .prerouting ? 0 : 1 }
}
