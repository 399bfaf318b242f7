internal import CLibnftnl
internal import Glibc
internal import Linux
internal import SystemPackage

extension NetlinkSocket {
    /// Reads the namespace's ruleset, all of one generation.
    ///
    /// Throws `rulesetChanged` if it is of another generation, or changes meanwhile.
    package mutating func ruleset(generation: UInt32) throws(NetfilterError) -> Ruleset {
        var ruleset = Ruleset(generation: generation)
        ruleset.tables = try dump(MessageType.getTable, "reading tables") { $0.table }
        if ruleset.tables.isEmpty { return ruleset }
        ruleset.chains = try dump(MessageType.getChain, "reading chains") { $0.chain }
        for table in ruleset.tables where ruleset.chains.contains(where: { $0.mayRedirect(in: table) }) {
            ruleset.rules += try rules(of: table, ruleset.chains)
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
    private mutating func rules(
        of table: Ruleset.Table, _ chains: [Ruleset.Chain]
    ) throws(NetfilterError) -> [Ruleset.Rule] {
        let rules = try dump(MessageType.getRule, "reading rules", of: table) { $0.rule }
        let inTable = chains.filter { $0.name.family == table.family && $0.name.table == table.name }
        if rules.fill(inTable) { return rules }
        var found: [Ruleset.Rule] = []
        for chain in inTable where chain.use > 0 {
            found += try dump(MessageType.getRule, "reading rules", of: table, chain: chain) { $0.rule }
        }
        return found
    }

    /// The generation of the namespace's ruleset.
    package mutating func generation() throws(NetfilterError) -> UInt32 {
        let sequence = takeSequence()
        var request = MessageBuffer(messages: 1)
        request.append(MessageType.getGeneration, family: 0, sequence: sequence)
        let operation: StaticString = "reading the ruleset's generation"
        try send(request, for: operation)
        var generation: UInt32?
        try receive(for: operation) { (message) throws(NetfilterError) -> Progress in
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
        let operation: StaticString = "reading counters"
        let first = takeSequence(rules.count)
        var requests = MessageBuffer(messages: rules.count)
        for (index, rule) in rules.enumerated() {
            let sequence = first &+ UInt32(index)
            requests.append(MessageType.getRule, family: rule.chain.family.rawValue, sequence: sequence) {
                $0.put(NFTA_RULE_TABLE.rawValue, rule.chain.table)
                $0.put(NFTA_RULE_CHAIN.rawValue, rule.chain.chain)
                $0.put(NFTA_RULE_HANDLE.rawValue, rule.handle)
            }
        }
        try send(requests, for: operation)
        var reread: [Ruleset.Rule] = []
        try receive(for: operation) { (message) throws(NetfilterError) -> Progress in
            guard message.sequence &- first < UInt32(rules.count) else { return .more }
            guard let rule = message.rule else { throw .rulesetChanged }
            reread.append(rule)
            return reread.count == rules.count ? .done : .more
        }
        return reread
    }

    /// Asks for all objects of a kind and returns what `decode` makes of each.
    mutating func dump<Object>(
        _ type: UInt16, _ operation: StaticString, of table: Ruleset.Table? = nil, chain: Ruleset.Chain? = nil,
        _ decode: (NetlinkMessage) -> Object?
    ) throws(NetfilterError) -> [Object] {
        let sequence = takeSequence()
        var request = MessageBuffer(messages: 1)
        request.append(type, family: table?.family.rawValue ?? 0, flags: .dump, sequence: sequence) {
            if let table { $0.put(NFTA_RULE_TABLE.rawValue, table.nameBytes) }
            if let chain { $0.put(NFTA_RULE_CHAIN.rawValue, chain.nameBytes) }
        }
        try send(request, for: operation)
        var objects: [Object] = []
        try receive(for: operation) { (message) throws(NetfilterError) -> Progress in
            guard message.sequence == sequence else { return .more }
            if message.isInterruptedDump { throw .rulesetChanged }
            if message.isLastOfDump { return .done }
            try message.check(operation)
            if let object = decode(message) { objects.append(object) }
            return .more
        }
        return objects
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

extension [Ruleset.Rule] {
    /// Whether as many are here as the base chains say that they hold; nothing can jump to those. The rules of a chain
    /// stand together.
    fileprivate func fill(_ chains: [Ruleset.Chain]) -> Bool {
        var counts: [String: UInt32] = [:]
        for run in chunked { counts[run.name] = run.count }
        return chains.allSatisfy { $0.base == nil || counts[$0.name.chain, default: 0] >= $0.use }
    }

    private var chunked: [(name: String, count: UInt32)] {
        var runs: [(name: String, count: UInt32)] = []
        for rule in self {
            if runs.last?.name == rule.chain.chain {
                runs[runs.count - 1].count += 1
            } else {
                runs.append((rule.chain.chain, 1))
            }
        }
        return runs
    }
}
