internal import CLibnftnl
internal import Glibc
internal import Linux
internal import SystemPackage

/// One batch of changes, for all families of a namespace, that the kernel executes as a whole or not at all.
package struct Transaction: Hashable, Sendable {
    package enum Operation: Hashable, Sendable {
        /// - Parameter isOwned: whether it belongs to the socket that creates it, and goes with it (Linux 5.12). It must not be
        ///   there yet.
        case addTable(Family, String, isOwned: Bool = false)
        case addChain(ChainName, BaseChain)
        /// At the head of the chain.
        case insertRule(ChainName, [RuleExpression])
        /// At the end of the chain.
        ///
        /// - Parameter wantsHandle: whether the kernel reports the rule's handle, which takes it a few microseconds.
        case appendRule(ChainName, [RuleExpression], wantsHandle: Bool = true)
        case deleteRule(ChainName, handle: UInt64)
        /// All rules of the chain.
        case flushChain(ChainName)
        case deleteChain(ChainName)
        case deleteTable(Family, String)
    }

    package var operations: [Operation]

    package init(_ operations: [Operation]) {
        self.operations = operations
    }

    /// With each operation's message built.
    package var prepared: PreparedTransaction {
        var prepared = PreparedTransaction()
        prepared.reserveCapacity(operations.count)
        for operation in operations { prepared.append(PreparedOperation(operation)) }
        return prepared
    }
}

extension Transaction.Operation {
    func append(to buffer: inout MessageBuffer, flags: MessageFlags, sequence: UInt32) {
        switch self {
        case .addTable(let family, let table, let isOwned):
            buffer.append(
                MessageType.newTable, family: family.rawValue,
                flags: flags.union(isOwned ? [.create, .exclusive] : .create), sequence: sequence
            ) {
                $0.put(NFTA_TABLE_NAME.rawValue, table)
                if isOwned { $0.put(NFTA_TABLE_FLAGS.rawValue, NFT_TABLE_F_OWNER.rawValue) }
            }
        case .addChain(let name, let base):
            buffer.append(
                MessageType.newChain, family: name.family.rawValue, flags: flags.union(.create), sequence: sequence
            ) { base.put(name, into: $0) }
        case .insertRule(let name, let expressions):
            appendRule(name, expressions, to: &buffer, flags: flags.union(.echo), sequence: sequence)
        case .appendRule(let name, let expressions, let wantsHandle):
            let flags = flags.union(wantsHandle ? [.append, .echo] : .append)
            appendRule(name, expressions, to: &buffer, flags: flags, sequence: sequence)
        case .deleteRule(let name, let handle):
            buffer.append(MessageType.deleteRule, family: name.family.rawValue, flags: flags, sequence: sequence) {
                $0.put(NFTA_RULE_TABLE.rawValue, name.table)
                $0.put(NFTA_RULE_CHAIN.rawValue, name.chain)
                $0.put(NFTA_RULE_HANDLE.rawValue, handle)
            }
        case .flushChain(let name):
            buffer.append(MessageType.deleteRule, family: name.family.rawValue, flags: flags, sequence: sequence) {
                $0.put(NFTA_RULE_TABLE.rawValue, name.table)
                $0.put(NFTA_RULE_CHAIN.rawValue, name.chain)
            }
        case .deleteChain(let name):
            buffer.append(MessageType.deleteChain, family: name.family.rawValue, flags: flags, sequence: sequence) {
                $0.put(NFTA_CHAIN_TABLE.rawValue, name.table)
                $0.put(NFTA_CHAIN_NAME.rawValue, name.chain)
            }
        case .deleteTable(let family, let table):
            buffer.append(MessageType.deleteTable, family: family.rawValue, flags: flags, sequence: sequence) {
                $0.put(NFTA_TABLE_NAME.rawValue, table)
            }
        }
    }

    /// - Parameter flags: with NLM_F_ECHO the kernel sends the rule back with the handle that it gave it.
    private func appendRule(
        _ name: ChainName, _ expressions: [RuleExpression], to buffer: inout MessageBuffer, flags: MessageFlags,
        sequence: UInt32
    ) {
        guard let rule = unsafe nftnl_rule_alloc() else { fatalError("out of memory") }
        defer { unsafe nftnl_rule_free(rule) }
        unsafe nftnl_rule_set_str(rule, UInt16(NFTNL_RULE_TABLE.rawValue), name.table)
        unsafe nftnl_rule_set_str(rule, UInt16(NFTNL_RULE_CHAIN.rawValue), name.chain)
        for expression in expressions { unsafe expression.append(to: rule) }
        buffer.append(
            MessageType.newRule, family: name.family.rawValue, flags: flags.union(.create),
            sequence: sequence
        ) { unsafe nftnl_rule_nlmsg_build_payload($0.header, rule) }
    }
}

extension Transaction.Operation: CustomStringConvertible {
    /// A request to the kernel, in nf_tables' words.
    package var description: String {
        switch self {
        case .addTable(let family, let table, _): "NEWTABLE \(family.name) \(table)"
        case .addChain(let name, _): "NEWCHAIN \(name)"
        case .insertRule(let name, _), .appendRule(let name, _, _): "NEWRULE \(name)"
        case .deleteRule(let name, let handle): "DELRULE \(name) handle \(handle)"
        case .flushChain(let name): "DELRULE \(name)"
        case .deleteChain(let name): "DELCHAIN \(name)"
        case .deleteTable(let family, let table): "DELTABLE \(family.name) \(table)"
        }
    }

    package var family: Family {
        switch self {
        case .addTable(let family, _, _), .deleteTable(let family, _): family
        case .addChain(let name, _), .insertRule(let name, _), .appendRule(let name, _, _), .deleteRule(let name, _),
            .flushChain(let name), .deleteChain(let name):
            name.family
        }
    }
}

extension BaseChain {
    fileprivate func put(_ name: ChainName, into message: OutgoingMessage) {
        guard let chain = unsafe nftnl_chain_alloc() else { fatalError("out of memory") }
        defer { unsafe nftnl_chain_free(chain) }
        unsafe nftnl_chain_set_str(chain, UInt16(NFTNL_CHAIN_TABLE.rawValue), name.table)
        unsafe nftnl_chain_set_str(chain, UInt16(NFTNL_CHAIN_NAME.rawValue), name.chain)
        unsafe nftnl_chain_set_str(chain, UInt16(NFTNL_CHAIN_TYPE.rawValue), type)
        unsafe nftnl_chain_set_u32(chain, UInt16(NFTNL_CHAIN_HOOKNUM.rawValue), hook.rawValue)
        unsafe nftnl_chain_set_s32(chain, UInt16(NFTNL_CHAIN_PRIO.rawValue), priority)
        unsafe nftnl_chain_set_u32(chain, UInt16(NFTNL_CHAIN_POLICY.rawValue), UInt32(NF_ACCEPT))
        unsafe nftnl_chain_nlmsg_build_payload(message.header, chain)
    }
}

extension NetlinkSocket {
    /// Executes a transaction. The ruleset's generation is the next one then.
    ///
    /// - Parameter generation: only if the ruleset is still of this generation, else `rulesetChanged`.
    /// - Returns: for each operation that makes a rule and wants its handle, that; 0, which no rule has, for all others.
    package mutating func commit(
        _ transaction: PreparedTransaction, generation: UInt32?
    ) throws(NetfilterError) -> [UInt64] {
        let operations = transaction.operations
        var handles = [UInt64](repeating: 0, count: operations.count)
        if operations.isEmpty { return handles }
        let first = takeSequence(operations.count + 2)
        var failure: NetfilterError?
        let batch = transaction.encoded(sequence: first, generation: generation)
        try exchange(batch, for: "nf_tables batch", isLimited: false) { (message) throws(NetfilterError) -> Progress in
            let offset = Int(message.sequence &- first)
            // An answer to something older, on a socket that has been used before.
            guard offset <= operations.count else { return .more }
            if let error = message.acknowledgement {
                // The message that opens the batch is refused for what concerns the whole of it.
                guard offset > 0 else {
                    let errno = Errno(rawValue: error)
                    throw errno == .restart ? .rulesetChanged : .systemCall(.init("nf_tables batch", errno))
                }
                if error != 0 && failure == nil {
                    failure = .refused(
                        transaction.operation(at: offset - 1), Errno(rawValue: error), detail: message.errorDetail)
                }
                return offset == operations.count ? .done : .more
            }
            if offset > 0, let handle = message.ruleHandle, operations[offset - 1].rule != nil {
                handles[offset - 1] = handle
            }
            return .more
        }
        if let failure { throw failure }
        return handles
    }
}

extension Errno {
    /// "The ruleset is of another generation than the batch was made for"; errno(3) has no words for it.
    fileprivate static let restart = Errno(rawValue: ERESTART)
}
