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
        let counted = try existing(ruleset.rules.map(Ruleset.CountedRule.init), generation: &known)
        ruleset.rules = zip(ruleset.rules, counted).compactMap { rule, counted in
            guard let counted else { return nil }
            var rule = rule
            rule.counted = (counted.packets, counted.bytes)
            return rule
        }
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
        _ rules: [Ruleset.CountedRule]
    ) throws(NetfilterError) -> (generation: UInt32, rules: [Ruleset.CountedRule]?) {
        var generation: UInt32?
        let reread = try existing(rules, generation: &generation).compactMap(\.self)
        return (generation ?? 0, reread.count == rules.count ? reread : nil)
    }

    /// The same rules with their counters as they are now; nil for each that has gone.
    ///
    /// - Parameter generation: asked for before the rules, if it is nil.
    private mutating func existing(
        _ rules: [Ruleset.CountedRule], generation: inout UInt32?
    ) throws(NetfilterError) -> [Ruleset.CountedRule?] {
        var found = rules.map(Optional.some)
        var first = 0
        while first < rules.count || generation == nil {
            let end = min(first + Self.maxRuleRequests, rules.count)
            try reread(first..<end, of: rules, into: &found, generation: &generation)
            first = end
        }
        return found
    }

    private mutating func reread(
        _ part: Range<Int>, of rules: [Ruleset.CountedRule], into found: inout [Ruleset.CountedRule?],
        generation: inout UInt32?
    ) throws(NetfilterError) {
        let operation: StaticString = "reading counters"
        var requests = MessageBuffer(messages: part.count + 1, largest: Self.largestRuleRequest)
        let asked = takeSequence(part.count + 1)
        if generation == nil { requests.append(MessageType.getGeneration, family: 0, sequence: asked) }
        let first = asked &+ 1
        for (offset, rule) in rules[part].enumerated() {
            let sequence = first &+ UInt32(offset)
            requests.append(MessageType.getRule, family: rule.chain.family.rawValue, sequence: sequence) {
                $0.put(NFTA_RULE_TABLE.rawValue, rule.chain.table)
                $0.put(NFTA_RULE_CHAIN.rawValue, rule.chain.chain)
                $0.put(NFTA_RULE_HANDLE.rawValue, rule.handle)
            }
        }
        var answers = generation == nil ? -1 : 0
        var current = generation
        try exchange(requests, for: operation) { (message) throws(NetfilterError) -> Progress in
            let offset = Int(message.sequence &- first)
            if message.sequence == asked {
                try message.check(operation)
                current = message.generation
            } else if offset >= part.count {
                return .more
            } else if let counted = message.counted {
                found[part.lowerBound + offset]?.packets = counted.packets
                found[part.lowerBound + offset]?.bytes = counted.bytes
            } else {
                if message.acknowledgement != ENOENT { try message.check(operation) }
                found[part.lowerBound + offset] = nil
            }
            answers += 1
            return answers == part.count ? .done : .more
        }
        generation = current ?? 0
    }

    /// In one exchange: the socket has room for so many, and for the answers.
    private static let maxRuleRequests = 64

    /// A header, two names (NFT_NAME_MAXLEN) and a handle.
    private static let largestRuleRequest = 640
}
