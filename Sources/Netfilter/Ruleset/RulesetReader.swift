internal import CLibnftnl
internal import Glibc
internal import Linux
internal import SystemPackage

extension NetlinkSocket {
    /// Reads the namespace's ruleset, all of one generation.
    ///
    /// Throws `rulesetChanged` if it is of another generation, or changes meanwhile.
    ///
    /// - Parameter interest: which rules are kept in full.
    package mutating func ruleset(
        generation: UInt32, for interest: Ruleset.Interest
    ) throws(NetfilterError) -> Ruleset {
        var ruleset = Ruleset(generation: generation)
        ruleset.tables = try objects(MessageType.getTable, "reading tables") { $0.table }
        if ruleset.tables.isEmpty { return ruleset }
        ruleset.chains = try objects(MessageType.getChain, "reading chains") { $0.chain }
        for table in ruleset.tables where ruleset.chains.contains(where: { $0.mayRedirect(in: table) }) {
            ruleset.merge(try scan(table, ruleset.chains, for: interest))
        }
        // The dumps above are each of one generation; this one says that it was the same.
        if try self.generation() != generation { throw .rulesetChanged }
        return ruleset
    }

    /// The rules of a table.
    ///
    /// At a rule that is larger than a message may be (32 KiB), the kernel ends a dump without a word. Where some are
    /// missing, each chain is asked for by itself, and only what stands behind such a rule in the same chain stays
    /// unseen: our own rules stand first.
    private mutating func scan(
        _ table: Ruleset.Table, _ chains: [Ruleset.Chain], for interest: Ruleset.Interest
    ) throws(NetfilterError) -> RulesetScan {
        var whole = RulesetScan(for: interest)
        try dump(MessageType.getRule, "reading rules", of: table) { whole.add($0) }
        whole.finish()
        let inTable = chains.filter { $0.name.family == table.family && $0.name.table == table.name }
        if whole.fills(inTable) { return whole }
        var byChain = RulesetScan(for: interest)
        for chain in inTable where chain.use > 0 {
            try dump(MessageType.getRule, "reading rules", of: table, chain: chain) { byChain.add($0) }
        }
        byChain.finish()
        return byChain
    }

    /// The generation of the namespace's ruleset.
    package mutating func generation() throws(NetfilterError) -> UInt32 {
        let sequence = takeSequence()
        var request = MessageBuffer(messages: 1)
        request.append(MessageType.getGeneration, family: 0, sequence: sequence)
        let operation: StaticString = "reading the ruleset's generation"
        var generation: UInt32?
        try exchange(request, for: operation) { (message) throws(NetfilterError) -> Progress in
            guard message.sequence == sequence else { return .more }
            try message.check(operation)
            generation = message.generation
            return .done
        }
        return generation ?? 0
    }

    /// The same rules with their counters as they are now. Throws `rulesetChanged` if one has gone.
    package mutating func reread(_ rules: [Ruleset.Rule]) throws(NetfilterError) -> [Ruleset.Rule] {
        if rules.isEmpty { return rules }
        var reread = rules
        let operation: StaticString = "reading counters"
        let first = takeSequence(rules.count)
        var requests = MessageBuffer(messages: rules.count, largest: Self.largestRuleRequest)
        for (index, rule) in rules.enumerated() {
            let sequence = first &+ UInt32(index)
            requests.append(MessageType.getRule, family: rule.chain.family.rawValue, sequence: sequence) {
                $0.put(NFTA_RULE_TABLE.rawValue, rule.chain.table)
                $0.put(NFTA_RULE_CHAIN.rawValue, rule.chain.chain)
                $0.put(NFTA_RULE_HANDLE.rawValue, rule.handle)
            }
        }
        var answers = 0
        try exchange(requests, for: operation) { (message) throws(NetfilterError) -> Progress in
            let index = message.sequence &- first
            guard index < UInt32(rules.count) else { return .more }
            guard let counted = message.counted else { throw .rulesetChanged }
            reread[Int(index)].counted = counted
            answers += 1
            return answers == rules.count ? .done : .more
        }
        return reread
    }

    /// A header, two names (NFT_NAME_MAXLEN) and a handle.
    private static let largestRuleRequest = 640

    /// Asks for all objects of a kind and returns what `decode` makes of each.
    mutating func objects<Object>(
        _ type: UInt16, _ operation: StaticString, _ decode: (NetlinkMessage) -> Object?
    ) throws(NetfilterError) -> [Object] {
        var objects: [Object] = []
        try dump(type, operation) { message in
            if let object = decode(message) { objects.append(object) }
        }
        return objects
    }

    /// Asks for all objects of a kind and hands each to `body`.
    mutating func dump(
        _ type: UInt16, _ operation: StaticString, of table: Ruleset.Table? = nil, chain: Ruleset.Chain? = nil,
        _ body: (NetlinkMessage) -> Void
    ) throws(NetfilterError) {
        let sequence = takeSequence()
        var request = MessageBuffer(messages: 1)
        request.append(type, family: table?.family.rawValue ?? 0, flags: .dump, sequence: sequence) {
            if let table { $0.put(NFTA_RULE_TABLE.rawValue, table.nameBytes) }
            if let chain { $0.put(NFTA_RULE_CHAIN.rawValue, chain.nameBytes) }
        }
        try exchange(request, for: operation) { (message) throws(NetfilterError) -> Progress in
            guard message.sequence == sequence else { return .more }
            if message.isInterruptedDump { throw .rulesetChanged }
            if message.isLastOfDump { return .done }
            try message.check(operation)
            body(message)
            return .more
        }
    }
}

extension NetlinkMessage {
    /// Throws what a refused request was refused with.
    func check(_ operation: StaticString) throws(NetfilterError) {
        guard let error = acknowledgement, error != 0 else { return }
        throw .systemCall(SystemCallError("\(operation)", Errno(rawValue: error)))
    }
}

extension Ruleset.Chain {
    /// Destination nat is done by chains of type nat in PREROUTING and OUTPUT, TPROXY by any chain in PREROUTING.
    fileprivate func mayRedirect(in table: Ruleset.Table) -> Bool {
        guard let base, name.family == table.family, name.table == table.name else { return false }
        return base.hook == .prerouting || base.hook == .output && base.type == "nat"
    }
}

extension RulesetScan {
    /// Whether as many rules were read as the base chains say that they hold; nothing can jump to those.
    fileprivate func fills(_ chains: [Ruleset.Chain]) -> Bool {
        chains.allSatisfy { $0.base == nil || effects[$0.name]?.ruleCount ?? 0 >= Int($0.use) }
    }
}
