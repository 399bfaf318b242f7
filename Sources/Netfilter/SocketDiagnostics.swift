internal import CLibmnl
internal import Glibc
package import Linux
package import SystemPackage

/// A TCP socket of a namespace, as sock_diag shows it.
package struct TCPSocket: Hashable, Sendable {
    package var local: Endpoint
    package var remote: Endpoint
    package var user: UInt32
    package var isListening: Bool
    /// Whether it may have addresses that are not the namespace's own (IP_TRANSPARENT), as one has to that TPROXY gives
    /// connections to. nil where the kernel does not say.
    package var isTransparent: Bool?
    /// AF_INET or AF_INET6.
    var family: UInt8
    /// `struct inet_diag_sockid` with the socket's cookie, which no other socket has.
    var id: [UInt8]
}

/// A socket that gets what comes to its port: of TCP one that listens, of UDP one without a peer.
package struct Listener: Hashable, Sendable {
    /// Its own; the unspecified address stands for all.
    package var address: IPAddress
    /// Whether the unspecified address of IPv6 does not stand for those of IPv4, too.
    package var isIPv6Only: Bool
    /// Of the socket's file; 0 if it has none.
    package var inode: UInt64

    package init(address: IPAddress, isIPv6Only: Bool, inode: UInt64) {
        (self.address, self.isIPv6Only, self.inode) = (address, isIPv6Only, inode)
    }

    /// Whether it gets what comes to an address.
    func accepts(_ destination: IPAddress) -> Bool {
        if address == destination { return true }
        let isSameFamily = address.bytes.count == destination.bytes.count
        return address.isUnspecified && (isSameFamily || address.bytes.count == 16 && !isIPv6Only)
    }
}

extension NetlinkSocket {
    /// The established TCP connections, and the listeners, of the namespace that `isWanted` selects. For a socket of
    /// sock_diag's.
    ///
    /// - Parameter maxSockets: so many are kept.
    /// - Returns: `isComplete` says whether all wanted ones are kept.
    package mutating func tcpSockets(
        keeping maxSockets: Int = 16384, where isWanted: (TCPSocket) -> Bool
    ) throws(NetfilterError) -> (sockets: [TCPSocket], isComplete: Bool) {
        var (sockets, isComplete): ([TCPSocket], Bool) = ([], true)
        let operation: StaticString = "reading sockets"
        for family in [AF_INET, AF_INET6] {
            try dumpSockets(family, states: Self.established | Self.listening, operation) { message in
                guard let socket = message.tcpSocket, isWanted(socket) else { return }
                if sockets.count < maxSockets { sockets.append(socket) } else { isComplete = false }
            }
        }
        return (sockets, isComplete)
    }

    /// Whether a TCP socket of the namespace listens on a port. For a socket of sock_diag's.
    ///
    /// The kernel looks through listeners alone, and sends those of this port: 15 microseconds for each family.
    package mutating func hasListener(on port: UInt16) throws(NetfilterError) -> Bool {
        for family in [AF_INET, AF_INET6] {
            var isFound = false
            try dumpSockets(family, states: Self.listening, port: port, "reading listeners") { _ in isFound = true }
            if isFound { return true }
        }
        return false
    }

    /// The sockets that get what comes to a port, or some of very many. For a socket of sock_diag's.
    ///
    /// - Parameter transport: IPPROTO_TCP or IPPROTO_UDP.
    package mutating func listeners(
        at arrival: PacketPath.Arrival, _ transport: UInt8
    ) throws(NetfilterError) -> [Listener] {
        var listeners: [Listener] = []
        let states = transport == Packet.tcp ? Self.listening : Self.closed
        for family in [AF_INET, AF_INET6] {
            try dumpSockets(family, transport, states: states, port: arrival.port, "reading listeners") { message in
                guard listeners.count < Self.maxListeners, let listener = message.listener else { return }
                if arrival.address.map(listener.accepts) != false { listeners.append(listener) }
            }
        }
        return listeners
    }

    /// Of one port: a server can have one for each of its threads.
    private static let maxListeners = 256

    /// - Parameter port: the sockets' own; 0 for any.
    private mutating func dumpSockets(
        _ family: CInt, _ transport: UInt8 = Packet.tcp, states: UInt32, port: UInt16 = 0, _ operation: StaticString,
        _ add: (NetlinkMessage) -> Void
    ) throws(NetfilterError) {
        let sequence = takeSequence()
        let id = [UInt8(port >> 8), UInt8(truncatingIfNeeded: port)] + Array(repeating: 0, count: Self.idSize - 2)
        var request = MessageBuffer(messages: 1)
        request.append(
            Self.byFamily, flags: .dump, sequence: sequence,
            payload: Self.request(UInt8(family), transport, states: states, id: id))
        guard try dump(request, sequence, for: operation, add) else { throw .changesMeanwhile(operation) }
    }

    /// Ends connections: their programs get ECONNABORTED at once, and the other ends a reset. One that has gone counts as
    /// ended.
    ///
    /// - Returns: those that the kernel refused to end, and why it refused the first.
    package mutating func destroy(
        _ sockets: [TCPSocket]
    ) throws(NetfilterError) -> (refused: [TCPSocket], error: Errno?) {
        try acknowledged(sockets, largest: Self.largestRequest, for: "ending connections") {
            socket, requests, sequence in
            requests.append(
                Self.destroy, flags: .acknowledge, sequence: sequence,
                payload: Self.request(
                    socket.family, Packet.tcp, states: Self.established | Self.listening, id: socket.id))
        }
    }

    /// SOCK_DIAG_BY_FAMILY and SOCK_DESTROY of linux/sock_diag.h.
    private static let byFamily: UInt16 = 20
    private static let destroy: UInt16 = 21
    /// TCP_ESTABLISHED, TCP_CLOSE and TCP_LISTEN, in a mask of states.
    private static let established: UInt32 = 1 << 1
    private static let closed: UInt32 = 1 << 7
    private static let listening: UInt32 = 1 << UInt32(listeningState)
    fileprivate static let listeningState: UInt8 = 10
    /// Of `struct inet_diag_sockid`.
    fileprivate static let idSize = 48
    /// A header, and `struct inet_diag_req_v2`.
    private static let largestRequest = 128

    /// `struct inet_diag_req_v2`: family, protocol, no extensions, the states as a mask, and which socket.
    private static func request(_ family: UInt8, _ transport: UInt8, states: UInt32, id: [UInt8]) -> [UInt8] {
        [family, transport, 0, 0] + RuleExpression.hostOrder(states) + id
    }
}

extension NetlinkMessage {
    /// The size of `struct inet_diag_msg`: family, state and two timers, the socket's id, then from byte 52 five numbers, of
    /// which the fourth is the user and the fifth the inode; then attributes.
    private static let socketSize = 72
    private static let (idOffset, userOffset, inodeOffset) = (4, 64, 68)

    fileprivate var tcpSocket: TCPSocket? {
        guard let (family, id, local, remote) = socketID else { return nil }
        let attributes = attributes(after: Self.socketSize)
        return TCPSocket(
            local: Endpoint(local.unmapped, UInt16(id[0]) << 8 | UInt16(id[1])),
            remote: Endpoint(remote.unmapped, UInt16(id[2]) << 8 | UInt16(id[3])),
            user: unsafe bytes.loadUnaligned(fromByteOffset: Self.userOffset, as: UInt32.self),
            isListening: unsafe bytes[1] == NetlinkSocket.listeningState,
            isTransparent: attributes.lazy.compactMap(\.isTransparent).first, family: family, id: id)
    }

    fileprivate var listener: Listener? {
        guard let local = socketID?.local else { return nil }
        let isIPv6Only = attributes(after: Self.socketSize).lazy.compactMap(\.isIPv6Only).first
        let inode = unsafe bytes.loadUnaligned(fromByteOffset: Self.inodeOffset, as: UInt32.self)
        return Listener(address: local.unmapped, isIPv6Only: isIPv6Only ?? false, inode: UInt64(inode))
    }

    private var socketID: (family: UInt8, id: [UInt8], local: IPAddress, remote: IPAddress)? {
        guard unsafe bytes.count >= Self.socketSize, let family = unsafe bytes.first else { return nil }
        let id = unsafe Array(bytes[Self.idOffset..<Self.idOffset + NetlinkSocket.idSize])
        let addressSize = family == UInt8(AF_INET) ? 4 : 16
        guard let local = IPAddress(bytes: id[4..<4 + addressSize]),
            let remote = IPAddress(bytes: id[20..<20 + addressSize])
        else { return nil }
        return (family, id, local, remote)
    }
}

extension Attribute {
    /// Of INET_DIAG_SOCKOPT, whose first byte has eight flags (`struct inet_diag_sockopt`); nil of any other attribute.
    fileprivate var isTransparent: Bool? {
        guard type == 22, let flags = uint8 else { return nil }
        #if _endian(big)
            return flags & 0x04 != 0
        #else
            return flags & 0x20 != 0
        #endif
    }

    /// Of INET_DIAG_SKV6ONLY; nil of any other attribute.
    fileprivate var isIPv6Only: Bool? { type == 11 ? uint8.map { $0 != 0 } : nil }
}
