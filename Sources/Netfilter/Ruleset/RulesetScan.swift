internal import CLibnftnl

/// Reads the rules of a table as the kernel sends them, and keeps of them what can matter to a bypass: our own in full, and
/// of all others what the rules of each chain do together.
///
/// What it takes is bounded by the chains that there are, not by their rules.
struct RulesetScan {
    /// Which rules are kept.
    private let interest: Ruleset.Interest
    private(set) var effects: [ChainName: Ruleset.Effects] = [:]
    private(set) var rules: [Ruleset.Rule] = []
    /// The rules of a chain stand together: the chain of the last one, and what its rules do so far.
    private var current: Current?

    private struct Current {
        var name: ChainName
        var table: [UInt8]
        var chain: [UInt8]
        var effects: Ruleset.Effects
        var isInOwnTable: Bool
    }

    init(for interest: Ruleset.Interest) {
        self.interest = interest
    }

    mutating func add(_ message: NetlinkMessage) {
        guard message.type == MessageType.newRule, let family = message.family else { return }
        var (table, chain, expressions): (Attribute?, Attribute?, Attribute?)
        for attribute in message.attributes {
            switch attribute.type {
            case CInt(NFTA_RULE_TABLE.rawValue): table = attribute
            case CInt(NFTA_RULE_CHAIN.rawValue): chain = attribute
            case CInt(NFTA_RULE_EXPRESSIONS.rawValue): expressions = attribute
            default: break
            }
        }
        enter(family, table, chain)
        let position = current?.effects.ruleCount ?? 0
        var isOurs = current?.isInOwnTable ?? false
        if let expressions {
            for element in expressions.nested {
                let expression = element.expression
                if case .matchBPF(interest.pin) = expression { isOurs = true }
                current?.effects.add(expression)
            }
        }
        current?.effects.ruleCount += 1
        if isOurs, var rule = message.rule {
            rule.position = position
            rules.append(rule)
        }
    }

    /// To be called after the last rule.
    mutating func finish() {
        guard let current else { return }
        effects[current.name] = current.effects
        self.current = nil
    }

    private mutating func enter(_ family: Family, _ table: Attribute?, _ chain: Attribute?) {
        if let current, current.name.family == family, table.isText(current.table), chain.isText(current.chain) {
            return
        }
        finish()
        let name = ChainName(family, table?.string ?? "", chain?.string ?? "")
        current = Current(
            name: name, table: table?.text ?? [], chain: chain?.text ?? [], effects: effects[name] ?? .init(),
            isInOwnTable: (family, name.table) == interest.table)
    }
}

extension Attribute? {
    fileprivate func isText(_ text: [UInt8]) -> Bool { self?.isText(text) ?? text.isEmpty }
}

extension Ruleset {
    /// What of a ruleset is kept in full.
    package struct Interest: Hashable, Sendable {
        /// Rules that ask the program that is pinned here.
        package var pin: String
        /// The table that is ours: every rule in it.
        package var table: (family: Family, name: String) { (tableFamily, tableName) }
        private var tableFamily: Family
        private var tableName: String

        package init(pin: String, table: (Family, String)) {
            self.pin = pin
            (tableFamily, tableName) = table
        }
    }

    /// What the rules of a chain do together.
    package struct Effects: Hashable, Sendable {
        package var ruleCount = 0
        package var hasDestinationNat = false
        package var hasTransparentProxy = false
        /// A verdict is looked up in a map: it may lead to any chain of the table.
        package var hasVerdictMap = false
        /// The chains that are jumped to.
        package var jumps: Set<String> = []
        private var lastJump: String?

        package init() {}

        package mutating func add(_ expression: Expression) {
            switch expression {
            // Many rules in a row jump to the same chain.
            case .jump(let target) where target != lastJump:
                jumps.insert(target)
                lastJump = target
            case .verdictMap: hasVerdictMap = true
            case .destinationNat: hasDestinationNat = true
            case .transparentProxy: hasTransparentProxy = true
            case .matchBPF, .counter, .returnVerdict, .jump, .other: break
            }
        }

        /// With the rules of another chain of the same name: names that are no UTF-8 can look alike.
        mutating func merge(_ other: Effects) {
            ruleCount += other.ruleCount
            hasDestinationNat = hasDestinationNat || other.hasDestinationNat
            hasTransparentProxy = hasTransparentProxy || other.hasTransparentProxy
            hasVerdictMap = hasVerdictMap || other.hasVerdictMap
            jumps.formUnion(other.jumps)
        }
    }

    /// Adds what was found in a table.
    mutating func merge(_ scan: consuming RulesetScan) {
        rules += scan.rules
        effects.merge(scan.effects) { known, found in
            var both = known
            both.merge(found)
            return both
        }
    }
}
