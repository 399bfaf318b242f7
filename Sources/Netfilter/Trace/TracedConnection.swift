internal import Linux

/// The first packet of a connection, as the kernel has traced it.
package struct TracedConnection: Hashable, Sendable {
    package var origin: PacketOrigin
    /// IPPROTO_TCP or IPPROTO_UDP.
    package var transport: UInt8
    /// As it was sent.
    package var from: Endpoint
    package var to: Endpoint
    /// In their order, of all hooks.
    var messages: [TraceMessage]

    /// nil if the message does not hold what it takes.
    init?(beginningWith message: TraceMessage, transport: UInt8) {
        guard let headers = message.headers else { return nil }
        origin = message.chain == TraceTable.first(.output) ? .local : .outside
        self.transport = transport
        (from, to) = (headers.from, headers.to)
        messages = [message]
    }

    package var family: Family { to.address.bytes.count == 4 ? .ip : .ip6 }
    package var isTCP: Bool { transport == Packet.tcp }

    /// The hook at which it began.
    var hook: Hook { origin == .local ? .output : .prerouting }

    /// The rules of nf_tables that the kernel has reported.
    var rules: Set<TracedRule> {
        Set(messages.compactMap { message in message.handle.map { TracedRule(chain: message.chain, handle: $0) } })
    }

    /// Whether the packet has come to the end of a hook.
    func hasPassed(_ hook: Hook) -> Bool { messages.contains { $0.chain == TraceTable.last(hook) } }

    /// Where the packet was to go after destination nat; nil if it did not come that far, or the kernel has not reported it.
    package var destination: Endpoint? {
        messages.first { $0.chain == TraceTable.last(hook) }?.headers?.to
    }

    /// The interface by which it went on after the last hook; nil if it did not come that far.
    var output: UInt32? { messages.first { $0.chain == TraceTable.last(.postrouting) }?.output }

    /// It has left the namespace, or gone up to a socket.
    var hasArrived: Bool { messages.contains(where: \.isArrival) }

    /// The rules of nf_tables have dropped it.
    package var isDropped: Bool { messages.contains(where: \.isDrop) }

    fileprivate var isFinished: Bool { hasArrived || isDropped }
}

struct TracedRule: Hashable, Sendable {
    var chain: ChainName
    var handle: UInt64
}

extension TraceMessage {
    /// Always the first interface of a namespace.
    static let loopback = Packet.Interface.loopback.index

    /// A rule or policy of another program's drops the packet.
    var isDrop: Bool { verdict == .drop && chain.table != TraceTable.name }

    fileprivate var isArrival: Bool {
        chain == TraceTable.last(.input) || chain == TraceTable.last(.postrouting) && output != Self.loopback
    }

    /// Addresses and ports, of a message that has them.
    fileprivate var headers: (from: Endpoint, to: Endpoint)? {
        guard let network, let segment, segment.count >= 4, let version = network.first.map({ $0 >> 4 }) else {
            return nil
        }
        let (start, size) = version == 4 ? (12, 4) : (8, 16)
        guard version == 4 || version == 6, network.count >= start + 2 * size,
            let from = IPAddress(bytes: network[start..<start + size]),
            let to = IPAddress(bytes: network[start + size..<start + 2 * size])
        else { return nil }
        func port(_ offset: Int) -> UInt16 { UInt16(segment[offset]) << 8 | UInt16(segment[offset + 1]) }
        return (Endpoint(from, port(0)), Endpoint(to, port(2)))
    }
}

/// Puts the kernel's messages about packets together. Pure, and bounded: what does not fit is left out.
struct TraceAssembly {
    private struct Pending {
        var connection: TracedConnection
        let since: Instant
        /// A later packet has its number.
        var isOver = false
    }

    /// The purposes of the rules that begin a trace, by their handles.
    var transports: [UInt64: UInt8] = [:]
    /// By number, in their order.
    private var pending: [(id: UInt32, value: Pending)] = []
    /// Of a packet that comes back over `lo` the kernel makes another number.
    private var returned: [UInt32: UInt32] = [:]

    /// How long a packet that the kernel reports no end of is waited for: it was dropped by rules that are not traced, or is
    /// held up.
    static let patience = Interval.milliseconds(100)
    private static let maxPending = 256
    private static let maxMessages = 256

    var isEmpty: Bool { pending.isEmpty }

    mutating func add(_ message: TraceMessage, at now: Instant) {
        if message.chain == TraceTable.first(.output) || message.chain == TraceTable.first(.prerouting) {
            guard let transport = message.handle.flatMap({ transports[$0] }), pending.count < Self.maxPending,
                let connection = TracedConnection(beginningWith: message, transport: transport)
            else { return }
            // A number comes again: the earlier packet with it has ended.
            if let index = index(of: message.id) { pending[index].value.isOver = true }
            returned[message.id] = nil
            pending.append((message.id, Pending(connection: connection, since: now)))
        } else if let index = index(of: message) {
            guard pending[index].value.connection.messages.count < Self.maxMessages else { return }
            pending[index].value.connection.messages.append(message)
        }
    }

    private func index(of id: UInt32) -> Int? { pending.lastIndex { $0.id == id } }

    private mutating func index(of message: TraceMessage) -> Int? {
        if let index = index(of: returned[message.id] ?? message.id) { return index }
        guard message.input == TraceMessage.loopback, let from = message.headers?.from,
            let index = pending.lastIndex(where: {
                $0.value.connection.origin == .local && $0.value.connection.from == from
            })
        else { return nil }
        returned[message.id] = pending[index].id
        return index
    }

    mutating func discard() { (pending, returned) = ([], [:]) }

    /// Those about which the kernel has said all, or nothing more for a while.
    mutating func takeFinished(at now: Instant) -> [TracedConnection] {
        var finished: [TracedConnection] = []
        pending.removeAll { entry in
            let value = entry.value
            guard value.isOver || value.connection.isFinished || now - value.since >= Self.patience else {
                return false
            }
            finished.append(value.connection)
            return true
        }
        if pending.isEmpty { returned = [:] }
        return finished
    }
}
