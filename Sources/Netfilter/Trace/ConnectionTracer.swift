package import Linux
internal import SystemPackage

/// Has the kernel trace the first packet of each connection of a namespace, from conntrack to the end of each hook: every
/// packet goes on as it would, and all others are only looked at by a few conditions.
package struct ConnectionTracer: ~Copyable {
    private var table: TraceTable
    private var assembly = TraceAssembly()
    /// Those that count the connections, whether they are traced or not.
    private var rules: [Ruleset.CountedRule] = []

    /// To be closed by a thread that no call waits for.
    package var sockets: [SharedDescriptor] { table.sockets }

    /// Connections that are traced, of each transport protocol and each way: more than a reader follows, and what they make
    /// the kernel report fits into the socket's buffer.
    private static let (perSecond, burst): (UInt64, UInt32) = (20, 20)
    /// Right after conntrack (-200), and before everything that takes connections.
    static let priority: Int32 = -199

    /// In the calling thread's network namespace.
    package init() throws(SystemCallError) {
        table = try TraceTable()
    }

    /// Makes the table. From then on connections are traced.
    package mutating func start() throws(NetfilterError) {
        var operations: [Transaction.Operation] = []
        var transports: [(index: Int, chain: ChainName, transport: UInt8)] = []
        for hook in [Hook.output, .prerouting] {
            let chain = TraceTable.first(hook)
            operations.append(.addChain(chain, BaseChain(type: "filter", hook: hook, priority: Self.priority)))
            for transport in [Packet.tcp, Packet.udp] {
                transports.append((operations.count, chain, transport))
                operations.append(
                    .appendRule(
                        chain,
                        [.carries(transport)] + (transport == Packet.tcp ? [.opensConnection] : [])
                            + [
                                .isNewConnection, .isFirstOfConnection, .counter,
                                .limit(perSecond: Self.perSecond, burst: Self.burst), .startTrace,
                            ]))
            }
        }
        // At the end of each the kernel reports the packet as it then is, and where it goes.
        for hook in [Hook.output, .postrouting, .prerouting, .input] {
            operations.append(
                .addChain(TraceTable.last(hook), BaseChain(type: "filter", hook: hook, priority: .max)))
        }
        let handles = try table.start(operations)
        for (index, chain, transport) in transports {
            assembly.transports[handles[index]] = transport
            rules.append(Ruleset.CountedRule(chain: chain, handle: handles[index]))
        }
    }

    /// Removes the table, if it was made.
    package mutating func stop() throws(NetfilterError) {
        try table.stop()
    }

    /// Connections whose first packets have reached their ends, in their order. Waits for one, but not longer than that.
    package mutating func next(within time: Interval) throws(NetfilterError) -> [TracedConnection] {
        table.wait(for: assembly.isEmpty ? time : min(time, TraceAssembly.patience))
        do throws(NetfilterError) {
            try table.receive { assembly.add($0, at: .now) }
        } catch {
            guard case .systemCall(let error) = error, error.errno == .noBufferSpace else { throw error }
            // The buffer ran over. Of which packets messages are lost is not known: all of them are left out.
            try table.receive { _ in }
            assembly.discard()
        }
        return assembly.takeFinished(at: .now)
    }

    /// The ruleset's generation, and how many connections there were, traced or not.
    package mutating func state() throws(NetfilterError) -> (generation: UInt32, connections: UInt64) {
        let (generation, current) = try table.reread(rules)
        if let current { rules = current }
        return (generation, rules.reduce(0) { $0 + $1.packets })
    }
}
