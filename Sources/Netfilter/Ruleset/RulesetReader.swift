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
        try read(into: &ruleset, for: interest, acceptingChanges: false)
        if ruleset.tables.isEmpty { return ruleset }
        // The dumps above are each of one generation; this one says that it was the same.
        if try self.generation() != generation { throw .rulesetChanged }
        return ruleset
    }

    mutating func read(
        into ruleset: inout Ruleset, for interest: Ruleset.Interest, acceptingChanges: Bool
    ) throws(NetfilterError) {
        try readObjects(into: &ruleset, for: interest, acceptingChanges: acceptingChanges)
        let chains = Dictionary(grouping: ruleset.chains, by: \.tableName)
        var targets: JumpTargets?
        for table in ruleset.tables {
            let inTable = chains[ChainName(table.family, table.name, "")] ?? []
            guard inTable.contains(where: \.mayRedirect) else { continue }
            let scan = try scan(table, inTable, &targets, for: interest, acceptingChanges: acceptingChanges)
            ruleset.add(scan, of: table, inTable, interest)
        }
    }

    /// Tables and chains.
    private mutating func readObjects(
        into ruleset: inout Ruleset, for interest: Ruleset.Interest, acceptingChanges: Bool
    ) throws(NetfilterError) {
        try dump(MessageType.getTable, "reading tables", acceptingChanges: acceptingChanges) { message in
            if let table = message.table { ruleset.add(table, for: interest) }
        }
        if ruleset.tables.isEmpty { return }
        try dump(MessageType.getChain, "reading chains", acceptingChanges: acceptingChanges) { message in
            if let chain = message.chain { ruleset.add(chain, for: interest) }
        }
    }

    /// The rules of a table.
    ///
    /// At a rule that is larger than a message may be (32 KiB), the kernel ends a dump without a word. Where some are
    /// missing, each chain is asked for by itself, and only what stands behind such a rule in the same chain stays
    /// unseen: our own rules stand first. So do they where a dump goes on after a change: the kernel counts how many rules it
    /// has sent, and passes over one for each that has gone from among those.
    ///
    /// - Parameter targets: read when they are needed first.
    private mutating func scan(
        _ table: Ruleset.Table, _ chains: [Ruleset.Chain], _ targets: inout JumpTargets?,
        for interest: Ruleset.Interest, acceptingChanges: Bool
    ) throws(NetfilterError) -> RulesetScan {
        if !acceptingChanges {
            var whole = RulesetScan(for: interest)
            try dump(MessageType.getRule, "reading rules", of: table) { whole.add($0) }
            whole.finish()
            if whole.fills(chains) { return whole }
        }
        var byChain = RulesetScan(for: interest)
        if targets == nil { targets = try jumpTargets(for: interest, acceptingChanges: acceptingChanges) }
        let name = ChainName(table.family, table.name, "")
        if targets?.incomplete.contains(name) == true { byChain.giveUp() }
        for chain in chains + (targets?.byTable[name] ?? []) where chain.use > 0 {
            try dump(
                MessageType.getRule, "reading rules", of: table, chain: chain, acceptingChanges: acceptingChanges
            ) { byChain.add($0) }
        }
        byChain.finish()
        return byChain
    }

    /// The chains that no hook leads to, and rules jump to, by table.
    private struct JumpTargets {
        var byTable: [ChainName: [Ruleset.Chain]] = [:]
        /// Tables with more of them than are kept.
        var incomplete: Set<ChainName> = []
        private var count = 0

        private static let maxCount = 1 << 14

        mutating func add(_ chain: Ruleset.Chain) {
            guard count < Self.maxCount else {
                incomplete.insert(chain.tableName)
                return
            }
            count += 1
            byTable[chain.tableName, default: []].append(chain)
        }
    }

    /// Those of all tables in one dump: a namespace can have thousands of tables.
    private mutating func jumpTargets(
        for interest: Ruleset.Interest, acceptingChanges: Bool
    ) throws(NetfilterError) -> JumpTargets {
        var targets = JumpTargets()
        try dump(MessageType.getChain, "reading chains", acceptingChanges: acceptingChanges) { message in
            guard let chain = message.chain, chain.base == nil, !interest.includes(chain.name) else { return }
            targets.add(chain)
        }
        return targets
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

    /// Asks nf_tables for all objects of a kind and hands each to `body`.
    ///
    /// - Parameter acceptingChanges: whether to go on if the ruleset changes meanwhile, or to throw `rulesetChanged`.
    mutating func dump(
        _ type: UInt16, _ operation: StaticString, of table: Ruleset.Table? = nil, chain: Ruleset.Chain? = nil,
        acceptingChanges: Bool = false, _ body: (NetlinkMessage) -> Void
    ) throws(NetfilterError) {
        let sequence = takeSequence()
        var request = MessageBuffer(messages: 1)
        request.append(type, family: table?.family.rawValue ?? 0, flags: .dump, sequence: sequence) {
            if let table { $0.put(NFTA_RULE_TABLE.rawValue, table.nameBytes) }
            if let chain { $0.put(NFTA_RULE_CHAIN.rawValue, chain.nameBytes) }
        }
        let isConsistent = try dump(request, sequence, for: operation, body)
        if !isConsistent && !acceptingChanges { throw .rulesetChanged }
    }
}

extension Ruleset.Chain {
    /// Its table, as a chain without a name.
    fileprivate var tableName: ChainName { ChainName(name.family, name.table, "") }
}

extension Ruleset {
    /// How many tables are read, and how many chains of others. Ours are kept besides.
    static let maxObjects = 4096

    fileprivate mutating func add(_ table: Table, for interest: Interest) {
        if interest.includes(table) || tables.count < Self.maxObjects {
            tables.append(table)
        } else {
            giveUp("tables")
        }
    }

    fileprivate mutating func add(_ chain: Chain, for interest: Interest) {
        let isOurs = interest.includes(chain.name)
        if interest.chains.contains(chain.name) || (isOurs || chain.mayRedirect) && chains.count < Self.maxObjects {
            chains.append(chain)
        } else if chain.mayRedirect && !isOurs {
            giveUp("chains at prerouting and output")
        }
    }

    private mutating func giveUp(_ objects: String) {
        let more = UnreadableRules(
            rules: "what is in other \(objects)", reason: "there are more than \(Self.maxObjects)")
        if !unreadable.contains(more) { unreadable.append(more) }
    }
}
