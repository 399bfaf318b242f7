internal import CLibnftnl

/// Reads the rules of a table as the kernel sends them, and keeps of them what can matter to a bypass: our own in full, and
/// of all others what the rules of each chain do together.
struct RulesetScan {
    /// The rules that are kept.
    private let interest: Ruleset.Interest
    var graph = ChainGraph()
    private(set) var rules: [Ruleset.Rule] = []
    private(set) var bareVerdicts: [BareVerdict] = []
    /// The rules of destination nat, but for how they are reached.
    private(set) var natRules: [(rule: NatRule, chain: ChainName)] = []
    /// So many of them are looked at: a node has thousands for its services, which a namespace of that kind is not for.
    private static let maxNatRules = 64
    private(set) var hasMoreNatRules = false
    /// The rules that leave packets untracked, but for how they are reached.
    private(set) var untracking: [Untracking] = []
    /// What the rules of chains do to marks, by the chain, but for what leaves by `lo`.
    private(set) var marks: [Int: MarkChanges] = [:]
    /// Of so many chains: no mesh needs more than two.
    private static let maxMarkingChains = 16
    private var hasMoreMarkingChains = false
    /// The rules of a chain stand together: the chain of the last one, and what its rules do so far.
    private var current: Current?

    private struct Current {
        var name: ChainName
        var table: [UInt8]
        var chain: [UInt8]
        var key: Int
        var rules = ChainGraph.Chain()
        /// The number of its rules that may still be kept.
        var room: Int
        var lastJump: (target: String, input: InputInterface)?
        /// Whether all rules before are ours, or bare verdicts.
        var isHead: Bool
    }

    /// A bypass needs two rules of a chain at most. What a crash leaves, or a pod puts there to look like ours, is kept up to
    /// that number; more are rules of others.
    static let maxRulesOfChain = 16

    init(for interest: Ruleset.Interest) {
        self.interest = interest
    }

    mutating func add(_ message: NetlinkMessage) {
        guard message.type == MessageType.newRule, let family = message.family else { return }
        var (table, chain, expressions): (Attribute?, Attribute?, Attribute?)
        var (handle, hasComment): (UInt64?, Bool) = (nil, false)
        for attribute in message.attributes {
            switch attribute.type {
            case CInt(NFTA_RULE_TABLE.rawValue): table = attribute
            case CInt(NFTA_RULE_CHAIN.rawValue): chain = attribute
            case CInt(NFTA_RULE_EXPRESSIONS.rawValue): expressions = attribute
            case CInt(NFTA_RULE_HANDLE.rawValue): handle = attribute.uint64
            case CInt(NFTA_RULE_USERDATA.rawValue): hasComment = attribute.hasComment
            default: break
            }
        }
        enter(family, table, chain)
        guard let name = current?.name else { return }
        let position = Int(current?.rules.ruleCount ?? 0)
        var isOurs = (name.family, name.table) == interest.table
        if let expressions {
            var meaning = RuleMeaning()
            var inHead: [Ruleset.Expression] = []
            for element in expressions.nested {
                var expression = element.expression
                if case .matchBPF(interest.pin) = expression { isOurs = true }
                meaning.add(expression, element)
                if case .destinationNat = expression, !isOurs, addNat(expressions, name) { expression = .other }
                if case .untracks = expression, meaning.input != .loopback {
                    untracking.add(
                        Untracking(
                            name, .nftables, number: position + 1, handle: handle, transport: meaning.transport))
                }
                add(expression, meaning)
                if current?.isHead == true { inHead.append(expression) }
            }
            if current?.isHead == true, !isOurs { addToHead(inHead, handle, hasComment: hasComment) }
        }
        current?.rules.ruleCount += 1
        guard isOurs, current?.room ?? 0 > 0, var rule = message.rule else { return }
        current?.room -= 1
        rule.position = position
        rules.append(rule)
    }

    /// Adds a rule of another program that has only bare verdicts and our rules before it.
    private mutating func addToHead(_ expressions: [Ruleset.Expression], _ handle: UInt64?, hasComment: Bool) {
        guard let current else { return }
        guard !hasComment, let verdict = BareVerdict.Verdict(expressions),
            bareVerdicts.count(where: { $0.chain == current.name }) < BareVerdict.maxOfChain
        else {
            self.current?.isHead = false
            return
        }
        bareVerdicts.append(BareVerdict(chain: current.name, verdict: verdict, handle: handle))
    }

    /// - Returns: whether the rule is certainly not a mesh's.
    private mutating func addNat(_ expressions: Attribute, _ chain: ChainName) -> Bool {
        guard natRules.count < Self.maxNatRules else {
            hasMoreNatRules = true
            return false
        }
        let rule = NatRule(expressions.nested, of: chain.family)
        natRules.append((rule, chain))
        return rule.isOthers
    }

    private mutating func add(_ expression: Ruleset.Expression, _ meaning: RuleMeaning) {
        guard let current else { return }
        switch expression {
        // Many rules in a row jump to the same chain.
        case .jump(let target) where (target, meaning.input) != (current.lastJump?.target, current.lastJump?.input):
            graph.addJump(from: current.key, to: ChainGraph.key(target), by: meaning.input)
            self.current?.lastJump = (target, meaning.input)
        // Which verdict a map has for which interface is not known.
        case .verdictMap: self.current?.rules.effects.insert(.verdictMap)
        case .destinationNat: self.current?.rules.effects.insert(.destinationNat.by(meaning.input))
        case .transparentProxy:
            self.current?.rules.effects.insert(.transparentProxy.by(meaning.input))
            if meaning.transport != NatRule.tcp { self.current?.rules.effects.insert(.datagramProxy.by(meaning.input)) }
        case .marks(let write): add(write, meaning.input, to: current.key)
        case .sets(let mark):
            if let write = meaning.write(to: mark) { add(write, meaning.input, to: current.key) }
        case .matchBPF, .addressTypeIsLocal, .counter, .returnVerdict, .acceptVerdict, .jump, .loads, .comparison,
            .setsTransport, .untracks, .other:
            break
        }
    }

    private mutating func add(_ write: MarkWrite, _ input: InputInterface, to chain: Int) {
        current?.rules.effects.insert(.mark.by(input))
        if input == .loopback { return }
        guard marks[chain] != nil || marks.count < Self.maxMarkingChains else {
            hasMoreMarkingChains = true
            return
        }
        marks[chain, default: MarkChanges()].insert(write)
    }

    /// What the rules that can be reached from each base chain do to marks.
    fileprivate func marks(from bases: Set<Int>) -> [Int: MarkChanges] {
        if hasMoreMarkingChains { return Dictionary(uniqueKeysWithValues: bases.map { ($0, .unknown) }) }
        var reached: [Int: MarkChanges] = [:]
        for (chain, changes) in marks {
            for base in graph.bases(bases, reaching: chain) { reached[base, default: MarkChanges()].formUnion(changes) }
        }
        return reached
    }

    /// To be called after the last rule.
    mutating func finish() {
        leave()
        graph.finish()
    }

    private mutating func leave() {
        guard let current else { return }
        graph.add(current.rules, to: current.key)
        self.current = nil
    }

    private mutating func enter(_ family: Family, _ table: Attribute?, _ chain: Attribute?) {
        if let current, current.name.family == family, table.isText(current.table), chain.isText(current.chain) {
            return
        }
        leave()
        let name = ChainName(family, table?.string ?? "", chain?.string ?? "")
        let isIptables = interest.chains.contains(name)
        let room = isIptables ? Self.maxRulesOfChain - rules.count { $0.chain == name } : 0
        current = Current(
            name: name, table: table?.text ?? [], chain: chain?.text ?? [], key: ChainGraph.key(name.chain), room: room,
            isHead: isIptables)
    }

    /// To be called when not all chains of the table were read.
    mutating func giveUp() { graph.giveUp() }

    /// Whether as many rules were read as the base chains say that they hold; nothing can jump to those.
    func fills(_ chains: [Ruleset.Chain]) -> Bool {
        chains.allSatisfy { $0.base == nil || graph.chain($0.name.chain).ruleCount >= $0.use }
    }
}

extension Attribute? {
    fileprivate func isText(_ text: [UInt8]) -> Bool { self?.isText(text) ?? text.isEmpty }
}

extension Ruleset {
    /// The parts of a ruleset that are kept in full.
    package struct Interest: Hashable, Sendable {
        /// Rules that ask the program that is pinned here.
        package var pin: String
        /// The table that is ours: every rule in it.
        package var table: (family: Family, name: String) { (tableFamily, tableName) }
        private var tableFamily: Family
        private var tableName: String
        /// The chains in which those rules can stand, and no other.
        package var chains: Set<ChainName>

        package init(pin: String, table: (Family, String), chains: some Sequence<ChainName>) {
            self.pin = pin
            (tableFamily, tableName) = table
            self.chains = Set(chains)
        }

        /// Whether a chain is kept that redirects nothing.
        func includes(_ chain: ChainName) -> Bool {
            chains.contains(chain) || (chain.family, chain.table) == table
        }

        func includes(_ table: Table) -> Bool {
            chains.contains { $0.family == table.family && $0.table == table.name }
        }
    }

    /// Adds what was found in a table.
    ///
    /// - Parameter chains: those of the table that are kept.
    mutating func add(_ scan: RulesetScan, of table: Table, _ chains: [Chain], _ interest: Interest) {
        rules += scan.rules
        // Our table redirects nothing, and one that sleeps is not evaluated.
        if (table.family, table.name) == interest.table || table.isDormant { return }
        if scan.graph.isTooLarge {
            lacksMemory = lacksMemory || scan.graph.lacksMemory
            let reason =
                scan.graph.lacksMemory
                ? "other large tables are being read now, and there is memory for one"
                : "it has more than \(ChainGraph.maxSize) chains and jumps"
            return unreadable.append(
                UnreadableRules(rules: "\(table.family.name) \(table.name)", reason: reason))
        }
        let bases = Set(chains.filter { $0.base != nil }.map { ChainGraph.key($0.name.chain) })
        add(scan, of: chains, bases)
        let effects: [ChainGraph.Effects] = [.destinationNat, .transparentProxy, .datagramProxy, .mark]
        let reaching = effects.map { ($0, scan.graph.bases(bases, reaching: $0)) }
        let marks = scan.marks.isEmpty ? [:] : scan.marks(from: bases)
        for chain in chains {
            let key = ChainGraph.key(chain.name.chain)
            let reached = reaching.compactMap { effect, bases in bases[key].map { (effect, $0) } }
            guard var redirect = chain.redirect(by: reached) else { continue }
            if redirect.mechanism == .mark { redirect.marks = marks[key] ?? MarkChanges() }
            redirects.insert(redirect)
            if redirect.mechanism == .nat { bareVerdicts += scan.bareVerdicts.filter { $0.chain == chain.name } }
        }
    }

    private mutating func add(_ scan: RulesetScan, of chains: [Chain], _ bases: Set<Int>) {
        var hooks: [ChainName: Set<Hook>] = [:]
        for (rule, chain) in scan.natRules {
            let reached =
                hooks[chain] ?? Self.hooks(of: chains, scan.graph.bases(bases, reaching: ChainGraph.key(chain.chain)))
            hooks[chain] = reached
            // What no packet gets to takes none.
            if !reached.isEmpty { nat.add(rule, in: chain, reached) }
        }
        for rule in scan.untracking {
            let reached = scan.graph.sources(of: bases, reaching: ChainGraph.key(rule.chain.chain))
            let isBefore = chains.contains {
                Untracking.isPossible(in: $0.base) && reached[ChainGraph.key($0.name.chain)]?.contains(.outside) == true
            }
            if isBefore { untracking.append(rule) }
        }
        if scan.hasMoreNatRules { nat.add(NatRule(anyIn: .inet), in: ChainName(.inet, "", ""), []) }
    }

    private static func hooks(of chains: [Chain], _ reached: Set<Int>) -> Set<Hook> {
        let bases = chains.filter { $0.mayRedirect && reached.contains(ChainGraph.key($0.name.chain)) }
        return Set(bases.compactMap(\.base?.hook))
    }
}
