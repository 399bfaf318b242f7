internal import CLibnftnl
internal import Glibc

/// Reads again what concerns a batch of ours, of a ruleset that was read as a whole before.
extension NetlinkSocket {
    /// Reads a ruleset that others may change all the time.
    ///
    /// If they do, its tables and chains, and that our rules are there, are of its generation, or the kernel refuses a batch
    /// for that generation. What all other rules do, and how many stand before ours, is as it was seen last.
    ///
    /// - Parameter interest: which rules are kept in full.
    package mutating func changingRuleset(for interest: Ruleset.Interest) throws(NetfilterError) -> Ruleset {
        var ruleset = Ruleset(generation: try generation())
        try read(into: &ruleset, for: interest, acceptingChanges: true)
        return try refreshed(ruleset, for: interest)
    }

    /// The same ruleset with what a batch of ours is about as it is now. That takes one question, however much else there
    /// is: most of the time nothing changes between this and the batch.
    package mutating func refreshed(
        _ ruleset: Ruleset, for interest: Ruleset.Interest
    ) throws(NetfilterError) -> Ruleset {
        let now = try generation()
        if now == ruleset.generation { return ruleset }
        var ruleset = ruleset
        (ruleset.generation, ruleset.isSettled) = (now, false)
        try rereadObjects(of: &ruleset, for: interest)
        var known: UInt32? = now
        ruleset.rules = try existing(ruleset.rules, generation: &known)
        return ruleset
    }

    /// The tables and chains in which rules of ours stand, or can.
    private mutating func rereadObjects(
        of ruleset: inout Ruleset, for interest: Ruleset.Interest
    ) throws(NetfilterError) {
        let operation: StaticString = "reading our tables and chains"
        let chains = Array(interest.chains)
        let tables = Array(Set(chains.map { ChainName($0.family, $0.table, "") }))
        let first = takeSequence(tables.count + chains.count)
        var requests = MessageBuffer(messages: tables.count + chains.count, largest: Self.largestRuleRequest)
        for (index, name) in (tables + chains).enumerated() {
            let isTable = index < tables.count
            let type = isTable ? MessageType.getTable : MessageType.getChain
            requests.append(type, family: name.family.rawValue, sequence: first &+ UInt32(index)) {
                $0.put(isTable ? NFTA_TABLE_NAME.rawValue : NFTA_CHAIN_TABLE.rawValue, name.table)
                if !isTable { $0.put(NFTA_CHAIN_NAME.rawValue, name.chain) }
            }
        }
        ruleset.tables.removeAll { interest.includes($0) }
        ruleset.chains.removeAll { interest.chains.contains($0.name) }
        var answers = 0
        try exchange(requests, for: operation) { (message) throws(NetfilterError) -> Progress in
            guard Int(message.sequence &- first) < tables.count + chains.count else { return .more }
            if let table = message.table {
                ruleset.tables.append(table)
            } else if let chain = message.chain {
                ruleset.chains.append(chain)
            } else if message.acknowledgement != ENOENT {
                try message.check(operation)
            }
            answers += 1
            return answers == tables.count + chains.count ? .done : .more
        }
    }

    /// The generation of the namespace's ruleset, and the same rules with their counters as they are now; nil for the rules
    /// if one has gone. It is one exchange, unless there are very many rules.
    package mutating func reread(
        _ rules: [Ruleset.Rule]
    ) throws(NetfilterError) -> (generation: UInt32, rules: [Ruleset.Rule]?) {
        var generation: UInt32?
        let reread = try existing(rules, generation: &generation)
        return (generation ?? 0, reread.count == rules.count ? reread : nil)
    }

    /// Those of the rules that are still there, with their counters as they are now.
    ///
    /// - Parameter generation: asked for before the rules, if it is nil.
    private mutating func existing(
        _ rules: [Ruleset.Rule], generation: inout UInt32?
    ) throws(NetfilterError) -> [Ruleset.Rule] {
        var found: [Ruleset.Rule] = []
        found.reserveCapacity(rules.count)
        var rest = rules[...]
        while !rest.isEmpty || generation == nil {
            try appendExisting(rest.prefix(Self.maxRuleRequests), to: &found, generation: &generation)
            rest = rest.dropFirst(Self.maxRuleRequests)
        }
        return found
    }

    private mutating func appendExisting(
        _ rules: ArraySlice<Ruleset.Rule>, to found: inout [Ruleset.Rule], generation: inout UInt32?
    ) throws(NetfilterError) {
        let operation: StaticString = "reading counters"
        var requests = MessageBuffer(messages: rules.count + 1, largest: Self.largestRuleRequest)
        let asked = takeSequence(rules.count + 1)
        if generation == nil { requests.append(MessageType.getGeneration, family: 0, sequence: asked) }
        let first = asked &+ 1
        for (index, rule) in rules.enumerated() {
            let sequence = first &+ UInt32(index)
            requests.append(MessageType.getRule, family: rule.chain.family.rawValue, sequence: sequence) {
                $0.put(NFTA_RULE_TABLE.rawValue, rule.chain.table)
                $0.put(NFTA_RULE_CHAIN.rawValue, rule.chain.chain)
                $0.put(NFTA_RULE_HANDLE.rawValue, rule.handle)
            }
        }
        var reread: [Ruleset.Rule?] = Array(rules)
        var answers = generation == nil ? -1 : 0
        var current = generation
        try exchange(requests, for: operation) { (message) throws(NetfilterError) -> Progress in
            let index = Int(message.sequence &- first)
            if message.sequence == asked {
                try message.check(operation)
                current = message.generation
            } else if index >= reread.count {
                return .more
            } else if let counted = message.counted {
                reread[index]?.counted = counted
            } else {
                if message.acknowledgement != ENOENT { try message.check(operation) }
                reread[index] = nil
            }
            answers += 1
            return answers == reread.count ? .done : .more
        }
        generation = current ?? 0
        found += reread.compactMap(\.self)
    }

    /// In one exchange: the socket has room for so many, and for the answers.
    private static let maxRuleRequests = 64

    /// A header, two names (NFT_NAME_MAXLEN) and a handle.
    private static let largestRuleRequest = 640
}
