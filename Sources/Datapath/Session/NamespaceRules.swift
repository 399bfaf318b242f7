internal import Bypass
package import BypassAPI
package import Linux
package import Netfilter
internal import SystemPackage

/// All that decides about the packets of a namespace, read once.
package struct NamespaceRules: Sendable {
    package let context: PacketContext
    /// The parts that may decide about a packet, and could not be read.
    package let unreadable: [UnreadableRules]
    private let tables: [FilterTable]
    /// The namespace's entry in the matcher's map, when the rules were read, and when that was.
    private let entry: MapEntry?
    private let now: UInt64
    let closer: DeferredCloser

    /// Where a first packet goes, and whether that is from a trace of the kernel's, as far as the OUTPUT hook.
    package struct Way: Sendable {
        package var path: PacketPath
        package var isTraced: Bool
        /// What gets the packet there; nil if that is not known, or not in the namespace.
        package var receiver: Receiver?
    }

    /// The ways of packets, in their order. Enters the namespace, which is the one that was read.
    package func ways(of packets: [FirstPacket], in namespace: borrowing NetworkNamespace) -> [Way] {
        let traces = traces(of: packets, in: namespace)
        var ways = packets.enumerated().map { index, first in
            let (packet, origin) = (first.packet, first.origin)
            let evaluation = evaluation(of: first)
            if let trace = traces[index], let path = evaluation.path(of: packet, from: origin, following: trace) {
                return Way(path: path, isTraced: true)
            }
            return Way(path: evaluation.path(of: packet, from: origin), isTraced: false)
        }
        findReceivers(of: packets, on: &ways, in: namespace)
        return ways
    }

    /// The way of a connection that the kernel has traced. Whether the matcher matches is left open: where the packet went
    /// says so, and a bypass may have begun or ended since these rules were read.
    package func way(of connection: TracedConnection) -> Way {
        var context = context
        context.matcher.matches = nil
        let evaluation = PathEvaluation(
            tables, context, isComplete: unreadable.isEmpty, maxSteps: Self.maxTracedSteps)
        let (path, isTraced) = evaluation.path(of: connection)
        return Way(path: path, isTraced: isTraced)
    }

    /// Rules and conditions that are evaluated for a traced connection: there can be many of them in a second.
    private static let maxTracedSteps = 1 << 14

    /// Whether iptables-legacy, whose rules the kernel does not trace, has any that may decide about a packet.
    package var hasLegacyRules: Bool {
        tables.contains { table in
            table.backend == .legacy && table.chains.values.contains { $0.base != nil && !$0.rules.isEmpty }
        }
    }

    /// The end of a packet, from the rules alone.
    func end(of first: FirstPacket) -> PacketPath.End {
        evaluation(of: first).path(of: first.packet, from: first.origin).end
    }

    /// Whether no rule would give connections from here to these ports and addresses to a sidecar, if there was no bypass. What
    /// is not known may.
    package func isMeshFree(_ set: ConnectionSet) -> Bool {
        for network in set.networks {
            guard let to = IPAddress(network.address.description) else { return false }
            for port in set.ports.map(\.first) {
                // A mesh's rules leave its proxy's own user alone, and take others.
                for (isTCP, uid) in [(true, 0), (true, Self.anyUser), (false, 0), (false, Self.anyUser)] {
                    let first = FirstPacket(to: to, port: port, from: nil, isTCP: isTCP, uid: uid, origin: .local)
                    let end = evaluation(of: first, isBypassed: false, maxSteps: Self.maxMeshFreeSteps)
                        .path(of: first.packet, from: .local).end
                    guard case .application = end else { return false }
                }
            }
        }
        return true
    }

    /// The user nobody, which the rules of meshes do not name.
    private static let anyUser: UInt32 = 65534

    /// For each of up to 64 packets.
    private static let maxMeshFreeSteps = 1 << 14

    private func evaluation(
        of first: FirstPacket, isBypassed: Bool? = nil, maxSteps: Int = PathEvaluation.usualMaxSteps
    ) -> PathEvaluation {
        var context = context
        context.matcher.matches = isBypassed ?? matches(first)
        return PathEvaluation(tables, context, isComplete: unreadable.isEmpty, maxSteps: maxSteps)
    }

    /// Whether the matcher matches a packet; nil if that is not known.
    private func matches(_ packet: FirstPacket) -> Bool? {
        guard let entry else { return false }
        // Rules that hold another program ask a map that is not known.
        guard entry.isCurrent else { return nil }
        guard entry.isLive(at: now) else { return false }
        return entry.scope.contains(port: packet.port, remote: remote(of: packet))
    }

    /// The other side: of what only comes through, too, it is the destination. nil if it is not known.
    private func remote(of packet: FirstPacket) -> IPAddress? {
        if packet.origin == .local { return packet.to }
        return context.isLocal(packet.to.bytes).flatMap { $0 ? packet.from : packet.to }
    }

    /// Whether iptables-legacy has rules for what leaves the namespace's sockets.
    func hasLegacyOutput(_ family: Netfilter.Family) -> Bool {
        tables.contains { table in
            table.backend == .legacy && table.family == family
                && table.chains.values.contains { $0.base?.hook == .output && (!$0.rules.isEmpty || !$0.accepts) }
        }
    }

    /// Enters the namespace on the calling thread, which the caller owns.
    ///
    /// - Parameter closer: closes the socket later, so that no call waits for that.
    package init(
        _ namespace: borrowing NetworkNamespace, matcher: Matcher, closer: DeferredCloser
    ) throws(SystemCallError) {
        self.closer = closer
        entry = try matcher.entry(of: namespace.inode)
        now = BootClock.now
        var context = PacketContext(
            addresses: Set(try namespace.addresses().map(\.bytes)),
            interfaces: try namespace.interfaces()?.map { Packet.Interface(name: $0.name, index: $0.index) },
            matcher: (matcher.pin, nil))
        let legacy = try namespace.withEntered { () throws(SystemCallError) in try LegacyTables.filterTables() }
        var socket = try namespace.withEntered { () throws(SystemCallError) in try NetlinkSocket() }
        defer { closer.add(socket.shared) }
        let found = try Self.tables(by: &socket)
        tables = found.tables + legacy.tables
        unreadable = found.unreadable + legacy.unreadable
        if tables.contains(where: \.takesTransparently) {
            var routing = try namespace.withEntered { () throws(SystemCallError) in try NetlinkSocket(for: .routing) }
            // Where those of a family cannot be read, it stays open where its packets go.
            for family in [Netfilter.Family.ip, .ip6] {
                context.routing[family] = try? routing.routingPolicy(family, for: [.any])
            }
        }
        self.context = context
    }

    private static func tables(by socket: inout NetlinkSocket) throws(SystemCallError) -> FilterTables {
        for attempt in 0..<RulesetAttempts.settled {
            if attempt > 0 { Thread.sleep(for: RulesetAttempts.pause(before: attempt)) }
            do throws(NetfilterError) {
                return try socket.filterTables()
            } catch {
                switch error {
                case .rulesetChanged: continue
                case .systemCall(let error): throw error
                case .refused: preconditionFailure("nothing was changed")
                }
            }
        }
        var none = FilterTables()
        none.unreadable = [UnreadableRules(rules: "nf_tables' rules", reason: "they change all the time")]
        return none
    }
}
