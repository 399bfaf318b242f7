extension PathWalk {
    /// NFT_JUMP_STACK_SIZE of net/netfilter/nf_tables.h.
    private static let maxDepth = 16

    mutating func evaluate(_ place: Place, at hook: Hook) throws(Stop) {
        var chain = place.name
        var index = 0
        var callers: [(chain: String, index: Int)] = []
        walk: while true {
            guard let rules = place.table.chains[chain]?.rules else { throw .unknown }
            guard index < rules.count else {
                guard let caller = callers.popLast() else { break walk }
                (chain, index) = caller
                continue
            }
            let rule = rules[index]
            try spend(1 + rule.parts.count)
            index += 1
            guard let verdict = try verdict(of: rule, index, in: chain, place, at: hook) else { continue }
            switch verdict {
            case .jump(let target), .goto(let target):
                if case .jump = verdict { callers.append((chain, index)) }
                if callers.count > Self.maxDepth { throw .unknown }
                (chain, index) = (target, 0)
            case .returnToCaller:
                guard let caller = callers.popLast() else { break walk }
                (chain, index) = caller
            case .accept, .sourceNat: return
            case .drop: throw .dropped
            case .unknown: throw .unknown
            case .destinationNat(let address, let port, let isRedirect):
                return redirect(to: address, port, isRedirect: isRedirect, at: hook)
            case .transparentProxy(let port):
                transparentProxy = .some(port)
                return
            }
        }
        appendPolicy(of: place, at: hook)
        if !place.chain.accepts { throw .dropped }
    }

    /// nil if the packet goes on with the next rule.
    private mutating func verdict(
        of rule: FilterRule, _ number: Int, in chain: String, _ place: Place, at hook: Hook
    ) throws(Stop) -> Verdict? {
        let isMatch = reported?.isMatch(rule, chain, place, at: hook)
        if isMatch == false { return nil }
        var evaluation = RuleEvaluation(packet, context, sets: place.table.sets, isMatch: isMatch == true)
        let outcome = evaluation.evaluate(rule)
        var isTaken = true
        var isOpen = !evaluation.isCertain && outcome != .passes
        if isOpen, outcome != .goesOn { isTaken = try decide() }
        if reported != nil {
            if !isTaken { return nil }
            isOpen = false
        }
        let mark = packet.mark
        // What a rule changes before its last condition is changed.
        if isTaken { change(to: evaluation.packet, in: place) }
        if outcome == .passes { return nil }
        append(
            outcome, of: rule, (number, rule.handle), in: chain, place, at: hook, marks: packet.mark != mark,
            isOpen: isOpen)
        guard isTaken, case .decides(let verdict) = outcome else { return nil }
        return verdict
    }

    /// A chain of type route has the packet routed again if it has changed the mark.
    mutating func change(to changed: Packet, in place: Place) {
        if place.base.type == "route", changed.mark != packet.mark { routedMark = changed.mark }
        packet = changed
    }

    // MARK: steps

    mutating func appendPolicy(of place: Place, at hook: Hook) {
        let accepts = place.chain.accepts
        path.append(
            step(nil, place, place.name, at: hook, "policy \(accepts ? "accept" : "drop")", accepts ? .none : .takes))
    }

    /// - Parameters:
    ///   - marks: whether the rule has set the packet's mark.
    ///   - isOpen: whether it is not known that the rule matches.
    mutating func append(
        _ outcome: RuleOutcome, of rule: FilterRule?, _ place: (Int, UInt64?)?, in chain: String, _ base: Place,
        at hook: Hook, marks: Bool, isOpen: Bool
    ) {
        var (text, effect) = ("continue", PacketPath.Step.Effect.none)
        switch outcome {
        case .goesOn where rule?.parts.contains(where: \.changesHeader) == true:
            (text, effect) = ("header changed", .hides)
        case .goesOn where marks:
            (text, effect) = ("mark " + (packet.mark.map { "0x" + String($0, radix: 16) } ?? "set"), .marks)
        case .goesOn, .passes: break
        case .decides(let verdict): (text, effect) = (verdict.text(packet), verdict.effect)
        }
        // What TPROXY has taken goes to its socket, whatever nat does.
        if transparentProxy != nil, case .decides(.destinationNat) = outcome { effect = .none }
        if isOpen { (text, effect) = (text + ", if it matches, which is not known", .open) }
        path.append(step(place, base, chain, at: hook, text, effect))
    }

    private func step(
        _ rule: (Int, UInt64?)?, _ place: Place, _ chain: String, at hook: Hook, _ verdict: String,
        _ effect: PacketPath.Step.Effect
    ) -> PacketPath.Step {
        PacketPath.Step(
            hook: hook, priority: place.base.priority, chain: ChainName(place.table.family, place.table.name, chain),
            backend: place.table.backend, rule: rule, verdict: verdict, effect: effect)
    }

    private mutating func redirect(to address: [UInt8?]?, _ port: UInt16?, isRedirect: Bool, at hook: Hook) {
        hasDestinationNat = true
        let before = (packet.destination, packet.destinationPort)
        if let port { packet.destinationPort = port }
        if isRedirect {
            // In PREROUTING to an address of the interface, whichever it is.
            if hook == .output {
                packet.destination = packet.family == .ip ? [127, 0, 0, 1] : PacketContext.loopback6
            } else if isLocal != true {
                packet.destination = packet.destination.map { _ in nil }
            }
            isLocal = true
        } else if let address {
            packet.destination = address
            isLocal = context.isLocal(address)
        }
        let isToItself = !isRedirect && (port == nil || port == before.1) && (address == nil || address == before.0)
        if !isToItself && !staysAtLoopback(before.0) { isRedirected = true }
    }
}
