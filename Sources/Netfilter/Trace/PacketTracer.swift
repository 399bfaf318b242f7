internal import CLinux
internal import Glibc
package import Linux
internal import SystemPackage

/// Has the kernel trace packets that this process sends in a namespace, from the beginning of the OUTPUT hook to its end,
/// where they are dropped: none of them leaves the namespace, arrives anywhere in it, or is tracked as a connection.
///
/// The table that does it belongs to the socket (NFT_TABLE_F_OWNER, Linux 5.12): the kernel removes it when the socket is
/// closed, also if the process is killed.
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

    private var owner: NetlinkSocket
    private var listener: NetlinkSocket
    /// The table is ours.
    private var isStarted = false

    /// To be closed by a thread that no call waits for.
    package var sockets: [SharedDescriptor] { [owner.shared, listener.shared] }

    private static let table = "kmesh_bypass_trace"
    static let first = ChainName(.inet, table, "first")
    static let last = ChainName(.inet, table, "last")

    /// In the calling thread's network namespace.
    package init() throws(SystemCallError) {
        let listener = try NetlinkSocket()
        let number = listener.shared.descriptor.rawValue
        try systemCall("setsockopt NETLINK_ADD_MEMBERSHIP") { clinux_join_traces(number) }
        owner = try NetlinkSocket()
        self.listener = listener
    }

    /// Makes the table. From then on what is sent of these flows is traced.
    package mutating func start(_ flows: [Flow]) throws(NetfilterError) {
        // Before every rule of others, and after it.
        let operations: [Transaction.Operation] =
            [
                .addTable(.inet, Self.table, isOwned: true),
                .addChain(Self.first, BaseChain(type: "filter", hook: .output, priority: .min + 1)),
                .addChain(Self.last, BaseChain(type: "filter", hook: .output, priority: .max)),
            ]
            + flows.flatMap { flow in
                let isOurs: [RuleExpression] = [
                    .isFamily(flow.family), .isTransport(flow.transport, flow.family), .isFromPort(flow.sourcePort),
                ]
                return [
                    Transaction.Operation.appendRule(Self.first, isOurs + [.startTrace]),
                    .appendRule(Self.last, isOurs + [.dropVerdict]),
                ]
            }
        _ = try owner.commit(Transaction(operations).prepared, generation: nil)
        isStarted = true
    }

    /// Removes the table, if it was made.
    package mutating func stop() throws(NetfilterError) {
        guard isStarted else { return }
        _ = try owner.commit(Transaction([.deleteTable(.inet, Self.table)]).prepared, generation: nil)
    }

    /// What the kernel has said since, of the first packet that came by our chain; others' traces are left out. The kernel
    /// reports while the packet is sent: nothing comes later.
    package mutating func trace() throws(NetfilterError) -> [TraceMessage] {
        var messages: [TraceMessage] = []
        var id: UInt32?
        try listener.receiveAll("reading a trace") { message in
            guard let trace = message.traceMessage, messages.count < Self.maxMessages else { return }
            if id == nil, trace.chain == Self.first { id = trace.id }
            if trace.id == id { messages.append(trace) }
        }
        return messages
    }

    private static let maxMessages = 1024
}
