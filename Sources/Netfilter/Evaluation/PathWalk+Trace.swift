extension PathWalk {
    /// Follows what the kernel has traced instead of evaluating the rules of a hook: which rules match is the kernel's word,
    /// what they do is read from them.
    mutating func follow(_ trace: [TraceMessage], at hook: Hook) throws(Stop) {
        var place: Place?
        var isElsewhere = true
        for message in trace {
            if message.chain == TraceTable.last(hook) { return try leave(hook, as: message) }
            if message.chain.table == TraceTable.name {
                isElsewhere = true
                continue
            }
            let (family, name) = (message.chain.family, message.chain.table)
            guard
                let table = tables.first(where: { $0.backend == .nftables && $0.family == family && $0.name == name }),
                let chain = table.chains[message.chain.chain]
            else { throw .lost }
            if let base = chain.base {
                isElsewhere = base.hook != hook
                place = Place(table: table, name: message.chain.chain, chain: chain, base: base)
            }
            if isElsewhere || message.kind == .end { continue }
            guard let place else { throw .lost }
            try append(message, chain, place, at: hook)
            if message.verdict == .drop { throw .dropped }
        }
        throw .lost
    }

    private mutating func append(
        _ message: TraceMessage, _ chain: FilterChain, _ place: Place, at hook: Hook
    ) throws(Stop) {
        guard message.kind == .rule else { return appendPolicy(of: place, at: hook) }
        try spend(chain.rules.count)
        let index = chain.rules.firstIndex { $0.handle == message.handle }
        let mark = packet.mark
        var outcome = message.verdict.map(RuleOutcome.decides) ?? .goesOn
        if let index {
            try spend(chain.rules[index].parts.count)
            var evaluation = RuleEvaluation(packet, context, sets: place.table.sets, isMatch: true)
            // To the kernel a target of x_tables only accepts what it redirects.
            outcome = evaluation.evaluate(chain.rules[index])
            change(to: evaluation.packet, in: place)
        }
        if case .decides(.transparentProxy(let port)) = outcome { transparentProxy = .some(port) }
        append(
            outcome, of: index.map { chain.rules[$0] }, index.map { ($0 + 1, message.handle) }, in: message.chain.chain,
            place, at: hook, marks: packet.mark != mark, isOpen: false)
    }

    /// The packet is from now on as the kernel had it at the end of the hook.
    private mutating func leave(_ hook: Hook, as message: TraceMessage) throws(Stop) {
        guard let network = message.network, network.count >= original.network.count, let segment = message.segment,
            segment.count >= 4
        else { throw .lost }
        let (input, output) = (packet.input, packet.output)
        packet = original
        (packet.input, packet.output) = (input, output)
        packet.network = network.prefix(original.network.count).map { $0 }
        for index in 0..<4 { packet.segment[index] = segment[index] }
        packet.mark = message.mark ?? 0
        packet.isTracked = true
        if hook == .output || hook == .prerouting { hasDestinationNat = true } else { hasSourceNat = true }
        isLocal = context.isLocal(packet.destination)
        let isElsewhere =
            packet.destination != original.destination || packet.destinationPort != original.destinationPort
        isRedirected = isElsewhere && !staysAtLoopback(original.destination)
    }
}
