internal import Linux

extension PathEvaluation {
    /// The way of a connection's first packet that the kernel has traced.
    ///
    /// Where it ends is what the kernel has reported: its headers behind all rules, of whichever program. Which rule decides is
    /// the kernel's word, too, unless iptables-legacy has rules on the way, which the kernel does not trace: then it is that
    /// of the rules by which the packet comes to where it went, if there is only one.
    ///
    /// - Returns: the way, and whether its steps are the kernel's.
    package func path(of connection: TracedConnection) -> (path: PacketPath, isTraced: Bool) {
        let isTraced = !hasLegacyRules(before: connection)
        let packet = Packet(connection)
        // A trace is lost where the rules have changed since.
        var path =
            (isTraced
                ? walk(packet, connection.origin, connection.messages)
                : walk(packet, connection.origin, nil, reported: ReportedRules(connection)) { $0.fits(connection) })
            ?? PacketPath()
        path.end = end(of: connection, by: path.end)
        return (path, isTraced)
    }

    private func end(of connection: TracedConnection, by rules: PacketPath.End) -> PacketPath.End {
        if connection.isDropped { return .dropped }
        guard let destination = connection.destination else { return rules == .dropped ? .dropped : .unknown }
        if destination != connection.to {
            guard let isLocal = context.isLocal(destination.address.bytes) else { return .unknown }
            return isLocal ? .sidecar(port: destination.port) : .application(port: destination.port)
        }
        // What TPROXY takes keeps its destination.
        let isTransparent = tables.contains(where: \.takesTransparently)
        if rules == .unknown, isComplete, !isTransparent, connection.hasArrived {
            return .application(port: destination.port)
        }
        return rules
    }

    /// Whether rules of iptables-legacy may have decided.
    private func hasLegacyRules(before connection: TracedConnection) -> Bool {
        let hooks: Set<Hook> = [connection.hook, .prerouting]
        return tables.contains { table in
            table.backend == .legacy && table.family == connection.family
                && table.chains.values.contains { chain in
                    chain.base.map { hooks.contains($0.hook) } == true && (!chain.rules.isEmpty || !chain.accepts)
                }
        }
    }
}

/// The rules of nf_tables that a packet has matched, where the kernel has traced it.
struct ReportedRules {
    private let rules: Set<TracedRule>
    private let hooks: Set<Hook>

    init(_ connection: TracedConnection) {
        rules = connection.rules
        hooks = Set(Hook.allCases.filter(connection.hasPassed))
    }

    /// nil if the kernel has not traced that.
    func isMatch(_ rule: FilterRule, _ chain: String, _ place: PathWalk.Place, at hook: Hook) -> Bool? {
        guard place.table.backend == .nftables, hooks.contains(hook), let handle = rule.handle,
            place.base.priority > ConnectionTracer.priority
        else { return nil }
        return rules.contains(
            TracedRule(chain: ChainName(place.table.family, place.table.name, chain), handle: handle))
    }
}

extension Packet {
    /// As it was sent.
    fileprivate init(_ connection: TracedConnection) {
        self.init(
            transport: connection.transport, from: connection.from.address.bytes, to: connection.to.address.bytes,
            port: connection.to.port, owner: connection.origin == .local ? Owner(uid: nil, gid: nil) : nil)
        sourcePort = connection.from.port
        mark = connection.messages.first?.mark ?? 0
    }
}

extension PathWalk {
    /// Whether the packet has come to where the kernel has seen it.
    fileprivate func fits(_ connection: TracedConnection) -> Bool {
        if path.end == .dropped { return !connection.hasArrived && !connection.isDropped }
        guard let destination = connection.destination else { return false }
        if connection.origin == .local, let output = connection.output {
            guard (packet.input == [.loopback]) == (output == TraceMessage.loopback) else { return false }
        }
        return packet.destinationPort == destination.port
            && zip(packet.destination, destination.address.bytes).allSatisfy { $0 == nil || $0 == $1 }
    }
}
