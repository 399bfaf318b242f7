extension PathWalk {
    /// Follows what the kernel has traced instead of evaluating the rules of the OUTPUT hook: which rules match is the
    /// kernel's word, what they do is read from them.
    ///
    /// - Returns: false if the trace does not reach the end of the hook, and the packet was not dropped.
    mutating func follow(_ trace: [TraceMessage]) throws(Stop) -> Bool {
        var place: Place?
        for message in trace where message.chain != PacketTracer.first {
            if message.chain == PacketTracer.last { return leaveOutput(as: message) }
            let (family, name) = (message.chain.family, message.chain.table)
            guard
                let table = tables.first(where: { $0.backend == .nftables && $0.family == family && $0.name == name }),
                let chain = table.chains[message.chain.chain]
            else { return false }
            if let base = chain.base {
                place = Place(table: table, name: message.chain.chain, chain: chain, base: base)
            }
            guard let place else { return false }
            try append(message, chain, place)
            if message.verdict == .drop { throw .dropped }
        }
        return false
    }

    private mutating func append(_ message: TraceMessage, _ chain: FilterChain, _ place: Place) throws(Stop) {
        guard message.kind == .rule else { return appendPolicy(of: place, at: .output) }
        try spend(chain.rules.count)
        let index = chain.rules.firstIndex { $0.handle == message.handle }
        var outcome = message.verdict.map(RuleOutcome.decides) ?? .goesOn
        if let index {
            try spend(chain.rules[index].parts.count)
            var evaluation = RuleEvaluation(packet, context, sets: place.table.sets)
            let evaluated = evaluation.evaluate(chain.rules[index])
            // To the kernel a target of x_tables only accepts what it redirects.
            if evaluated != .passes { (outcome, packet) = (evaluated, evaluation.packet) }
        }
        append(
            outcome, of: index.map { chain.rules[$0] }, index.map { ($0 + 1, message.handle) }, in: message.chain.chain,
            place,
            at: .output, isOpen: false)
    }

    /// The packet as the kernel had it at the end of the hook.
    private mutating func leaveOutput(as message: TraceMessage) -> Bool {
        guard let network = message.network, network.count >= original.network.count, let segment = message.segment,
            segment.count >= 4
        else { return false }
        packet = original
        packet.network = network.prefix(original.network.count).map { $0 }
        for index in 0..<4 { packet.segment[index] = segment[index] }
        packet.mark = message.mark ?? 0
        packet.isTracked = true
        hasDestinationNat = true
        isLocal = context.isLocal(packet.destination)
        let isElsewhere =
            packet.destination != original.destination || packet.destinationPort != original.destinationPort
        isRedirected = isElsewhere && !staysAtLoopback(original.destination)
        return true
    }
}
