internal import CLibnftnl
internal import Glibc
internal import Linux
internal import SystemPackage

extension NetlinkSocket {
    /// Reads the namespace's ruleset, all of one generation.
    ///
    /// Throws `rulesetChanged` if it is of another generation, or changes meanwhile.
    public mutating func ruleset(generation: UInt32) throws(NetfilterError) -> Ruleset {
        var ruleset = Ruleset(generation: generation)
        ruleset.tables = try dump(MessageType.getTable, "reading tables") { $0.table }
        if ruleset.tables.isEmpty { return ruleset }
        ruleset.chains = try dump(MessageType.getChain, "reading chains") { $0.chain }
        for table in ruleset.tables where ruleset.chains.contains(where: { $0.mayIntercept(in: table) }) {
            ruleset.rules += try dump(
                MessageType.getRule, "reading rules of \(table.name)", family: table.family, table: table.name
            ) { $0.rule }
        }
        // The dumps above are each of one generation; this one says that it was the same.
        if try self.generation() != generation { throw .rulesetChanged }
        return ruleset
    }

    /// The generation of the namespace's ruleset.
    public mutating func generation() throws(NetfilterError) -> UInt32 {
        let sequence = takeSequence()
        var request = MessageBuffer(messages: 1)
        request.append(MessageType.getGeneration, family: 0, sequence: sequence)
        let operation = "reading the ruleset's generation"
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
    public mutating func reread(_ rules: [Ruleset.Rule]) throws(NetfilterError) -> [Ruleset.Rule] {
        if rules.isEmpty { return rules }
        let operation = "reading counters"
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
        _ type: UInt16, _ operation: String, family: Family? = nil, table: String? = nil,
        _ decode: (NetlinkMessage) -> Object?
    ) throws(NetfilterError) -> [Object] {
        let sequence = takeSequence()
        var request = MessageBuffer(messages: 1)
        request.append(type, family: family?.rawValue ?? 0, flags: .dump, sequence: sequence) {
            if let table { $0.put(NFTA_RULE_TABLE.rawValue, table) }
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
    func check(_ operation: String) throws(NetfilterError) {
        guard let error = acknowledgement, error != 0 else { return }
        throw .systemCall(SystemCallError(operation, Errno(rawValue: error)))
    }
}

extension Ruleset.Chain {
    /// Destination nat is done by chains of type nat in PREROUTING and OUTPUT, TPROXY by any chain in PREROUTING.
    fileprivate func mayIntercept(in table: Ruleset.Table) -> Bool {
        guard let base, name.family == table.family, name.table == table.name else { return false }
        return base.hook == .prerouting || base.hook == .output && base.type == "nat"
    }
}
