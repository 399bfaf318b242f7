internal import CLibnftnl
internal import Glibc
internal import Linux
internal import SystemPackage

/// The tables of a namespace, read for one evaluation.
package struct FilterTables: Sendable {
    package var tables: [FilterTable] = []
    /// The parts that may decide about a packet, and could not be read.
    package var unreadable: [UnreadableRules] = []

    package init() {}

    /// Bytes of rules and elements that are read of nf_tables, and as many of iptables-legacy: a pod's mesh has some dozens of
    /// KiB.
    package static let maxBytes = 1 << 20
}

extension NetlinkSocket {
    /// Reads all rules of nf_tables that may decide about a packet, all of one generation. Throws `rulesetChanged` if they
    /// change meanwhile.
    package mutating func filterTables() throws(NetfilterError) -> FilterTables {
        let generation = try generation()
        var found = FilterTables()
        var budget = FilterTables.maxBytes
        var list: [Ruleset.Table] = []
        try dump(MessageType.getTable, "reading tables") { message in
            guard let table = message.table, !table.isDormant else { return }
            // A trace of the daemon's decides nothing.
            if table.hasOwner, table.name == TraceTable.name { return }
            let isOfPackets = [.ip, .ip6, .inet].contains(table.family)
            if isOfPackets, list.count < Self.maxTables { list.append(table) } else if isOfPackets { budget = -1 }
        }
        var byTable: [ChainName: FilterTable] = [:]
        try dump(MessageType.getChain, "reading chains") { message in
            guard let chain = message.chain, budget > 0 else { return }
            budget -= message.size
            var filter = FilterChain(base: chain.base)
            filter.accepts = message.acceptsAtEnd
            let table = ChainName(chain.name.family, chain.name.table, "")
            byTable[
                table, default: FilterTable(family: table.family, name: table.table, backend: .nftables)
            ].chains[chain.name.chain] = filter
        }
        for table in list where budget > 0 {
            guard var filter = byTable[ChainName(table.family, table.name, "")],
                filter.chains.values.contains(where: { $0.base != nil })
            else { continue }
            try dump(MessageType.getRule, "reading rules", of: table) { message in
                guard let (name, rule) = message.filterRule, budget > 0 else { return }
                budget -= message.size
                filter.chains[name.chain]?.rules.append(rule)
            }
            try readSets(of: table, into: &filter, &budget)
            found.tables.append(filter)
        }
        if budget <= 0 {
            found.unreadable.append(
                UnreadableRules(
                    rules: "the rest of nf_tables' rules",
                    reason: "there are more than \(FilterTables.maxBytes) bytes of them"))
        }
        if try self.generation() != generation { throw .rulesetChanged }
        return found
    }

    private static let maxTables = 256

    /// Those that rules look something up in.
    private mutating func readSets(
        of table: Ruleset.Table, into filter: inout FilterTable, _ budget: inout Int
    ) throws(NetfilterError) {
        var names: Set<String> = []
        for chain in filter.chains.values {
            for rule in chain.rules {
                for case .lookUp(let name, _, _, _, _) in rule.parts { names.insert(name) }
            }
        }
        for name in names.sorted() where budget > 0 {
            filter.sets[name] = .some(try set(name, of: table, &budget))
        }
    }

    /// nil if it has more elements than are read.
    private mutating func set(
        _ name: String, of table: Ruleset.Table, _ budget: inout Int
    ) throws(NetfilterError) -> FilterSet? {
        let operation: StaticString = "reading a set"
        let sequence = takeSequence()
        var request = MessageBuffer(messages: 1)
        request.append(MessageType.getSet, family: table.family.rawValue, sequence: sequence) {
            $0.put(NFTA_SET_TABLE.rawValue, table.nameBytes)
            $0.put(NFTA_SET_NAME.rawValue, Array(name.utf8))
        }
        var found: FilterSet?
        try exchange(request, for: operation) { (message) throws(NetfilterError) -> Progress in
            guard message.sequence == sequence else { return .more }
            if message.acknowledgement != ENOENT { try message.check(operation) }
            found = message.emptySet
            return .done
        }
        guard var set = found else { return nil }
        var isWhole = true
        try dumpElements(of: name, table) { message in
            budget -= message.size
            isWhole = isWhole && budget > 0 && message.addElements(to: &set)
        }
        set.sort()
        return isWhole ? set : nil
    }

    private mutating func dumpElements(
        of set: String, _ table: Ruleset.Table, _ body: (NetlinkMessage) -> Void
    ) throws(NetfilterError) {
        let operation: StaticString = "reading a set's elements"
        let sequence = takeSequence()
        var request = MessageBuffer(messages: 1)
        request.append(MessageType.getElements, family: table.family.rawValue, flags: .dump, sequence: sequence) {
            $0.put(NFTA_SET_ELEM_LIST_TABLE.rawValue, table.nameBytes)
            $0.put(NFTA_SET_ELEM_LIST_SET.rawValue, Array(set.utf8))
        }
        do throws(NetfilterError) {
            if try dump(request, sequence, for: operation, body) { return }
        } catch {
            // The set has gone: the ruleset is another one.
            guard case .systemCall(let cause) = error, cause.errno == .noSuchFileOrDirectory else { throw error }
        }
        throw .rulesetChanged
    }
}
