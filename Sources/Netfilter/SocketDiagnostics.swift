internal import CLibmnl
internal import Glibc
internal import Linux
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
            try dumpSockets(UInt8(family), states: Self.established | Self.listening, operation) { message in
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
            try dumpSockets(UInt8(family), states: Self.listening, port: port, "reading listeners") { _ in
                isFound = true
            }
            if isFound { return true }
        }
        return false
    }

    /// - Parameter port: the sockets' own; 0 for any.
    private mutating func dumpSockets(
        _ family: UInt8, states: UInt32, port: UInt16 = 0, _ operation: StaticString, _ add: (NetlinkMessage) -> Void
    ) throws(NetfilterError) {
        let sequence = takeSequence()
        let id = [UInt8(port >> 8), UInt8(truncatingIfNeeded: port)] + Array(repeating: 0, count: Self.idSize - 2)
        var request = MessageBuffer(messages: 1)
        request.append(
            Self.byFamily, flags: .dump, sequence: sequence, payload: Self.request(family, states: states, id: id))
        try exchange(request, for: operation) { (message) throws(NetfilterError) -> Progress in
            guard message.sequence == sequence else { return .more }
            if message.isLastOfDump { return .done }
            try message.check(operation)
            add(message)
            return .more
        }
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
                payload: Self.request(socket.family, states: Self.established | Self.listening, id: socket.id))
        }
    }

    /// SOCK_DIAG_BY_FAMILY and SOCK_DESTROY of linux/sock_diag.h.
    private static let byFamily: UInt16 = 20
    private static let destroy: UInt16 = 21
    /// TCP_ESTABLISHED and TCP_LISTEN, in a mask of states.
    private static let established: UInt32 = 1 << 1
    private static let listening: UInt32 = 1 << UInt32(listeningState)
    fileprivate static let listeningState: UInt8 = 10
    /// Of `struct inet_diag_sockid`.
    fileprivate static let idSize = 48
    /// A header, and `struct inet_diag_req_v2`.
    private static let largestRequest = 128

    /// `struct inet_diag_req_v2`: family, protocol, no extensions, the states as a mask, and which socket.
    private static func request(_ family: UInt8, states: UInt32, id: [UInt8]) -> [UInt8] {
        [family, UInt8(IPPROTO_TCP), 0, 0] + RuleExpression.hostOrder(states) + id
    }
}

extension NetlinkMessage {
    /// Of `struct inet_diag_msg`: family, state and two timers, the socket's id, then from byte 52 five numbers, of which the
    /// fourth is the user; then attributes.
    fileprivate var tcpSocket: TCPSocket? {
        let size = 72
        let idSize = NetlinkSocket.idSize
        guard unsafe bytes.count >= size, let family = unsafe bytes.first else { return nil }
        let id = unsafe Array(bytes[4..<4 + idSize])
        let addressSize = family == UInt8(AF_INET) ? 4 : 16
        guard let local = IPAddress(bytes: id[4..<4 + addressSize]),
            let remote = IPAddress(bytes: id[20..<20 + addressSize])
        else { return nil }
        let attributes = attributes(after: size)
        return TCPSocket(
            local: Endpoint(local.unmapped, UInt16(id[0]) << 8 | UInt16(id[1])),
            remote: Endpoint(remote.unmapped, UInt16(id[2]) << 8 | UInt16(id[3])),
            user: unsafe bytes.loadUnaligned(fromByteOffset: 64, as: UInt32.self),
            isListening: unsafe bytes[1] == NetlinkSocket.listeningState,
            isTransparent: attributes.lazy.compactMap(\.isTransparent).first, family: family, id: id)
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
}
