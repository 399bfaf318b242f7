package import Linux

/// Has the kernel trace packets that this process sends in a namespace, from the beginning of the OUTPUT hook to its end,
/// where they are dropped: none of them leaves the namespace, arrives anywhere in it, or is tracked as a connection.
package struct PacketTracer: ~Copyable {
    /// A packet that is traced, by its headers: no other socket has a port that a socket of ours holds.
    package struct Flow: Hashable, Sendable {
        package var family: Family
        package var transport: UInt8
        package var sourcePort: UInt16

        package init(family: Family, transport: UInt8, sourcePort: UInt16) {
            self.family = family
            self.transport = transport
            self.sourcePort = sourcePort
        }
    }

    private var table: TraceTable

    /// To be closed by a thread that no call waits for.
    package var sockets: [SharedDescriptor] { table.sockets }

    /// In the calling thread's network namespace.
    package init() throws(SystemCallError) {
        table = try TraceTable()
    }

    /// Makes the table. From then on what is sent of these flows is traced.
    package mutating func start(_ flows: [Flow]) throws(NetfilterError) {
        let (first, last) = (TraceTable.first(.output), TraceTable.last(.output))
        // Before every rule of others, and after it.
        _ = try table.start(
            [
                .addChain(first, BaseChain(type: "filter", hook: .output, priority: .min + 1)),
                .addChain(last, BaseChain(type: "filter", hook: .output, priority: .max)),
            ]
                + flows.flatMap { flow in
                    let isOurs: [RuleExpression] = [
                        .isFamily(flow.family), .isTransport(flow.transport, flow.family), .isFromPort(flow.sourcePort),
                    ]
                    return [
                        Transaction.Operation.appendRule(first, isOurs + [.startTrace]),
                        .appendRule(last, isOurs + [.dropVerdict]),
                    ]
                })
    }

    /// Removes the table, if it was made.
    package mutating func stop() throws(NetfilterError) {
        try table.stop()
    }

    /// What the kernel has said since, of the first packet that came by our chain; others' traces are left out. The kernel
    /// reports while the packet is sent: nothing comes later.
    package mutating func trace() throws(NetfilterError) -> [TraceMessage] {
        var messages: [TraceMessage] = []
        var id: UInt32?
        try table.receive { trace in
            guard messages.count < Self.maxMessages else { return }
            if id == nil, trace.chain == TraceTable.first(.output) { id = trace.id }
            if trace.id == id { messages.append(trace) }
        }
        return messages
    }

    private static let maxMessages = 1024
}
