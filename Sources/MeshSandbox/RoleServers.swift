internal import CLinux
internal import Glibc
internal import Linux
internal import SystemPackage

/// The greeting of a server.
enum Role: String, Sendable {
    case app, sidecar
}

package enum Port {
    static let app = 8080
    /// The ports to which meshes redirect outbound and inbound connections.
    static let sidecarOutbound = 15001
    package static let sidecarInbound = 15006
}

/// Servers that send their role in one line when they accept a connection, and again for each line that they receive.
///
/// One thread serves all of them: it waits by poll(2), and nothing else of it blocks.
final class RoleServers: Sendable {
    /// Closed by `stop`, which ends the thread.
    private let stopSignal: SharedDescriptor
    private let thread: Task<Void, any Error>

    /// Binds the sockets and starts to serve them.
    init(_ servers: [(role: Role, port: Int, namespace: String)]) throws {
        var listeners: [Served] = []
        for server in servers {
            let socket = try Self.listen(server.role, port: server.port, namespace: server.namespace)
            listeners.append(Served(role: server.role, isListener: true, socket: SharedDescriptor(socket)))
        }
        var ends: [CInt] = [-1, -1]
        try systemCall("pipe") { unsafe pipe(&ends) }
        for end in ends { try systemCall("fcntl F_SETFD") { fcntl(end, F_SETFD, FD_CLOEXEC) } }
        let readEnd = SharedDescriptor(OwnedDescriptor(adopting: ends[0]))
        stopSignal = SharedDescriptor(OwnedDescriptor(adopting: ends[1]))
        thread = Task { [listeners] in try await Threads.run { try Self.serve(listeners, until: readEnd) } }
    }

    /// Closes all sockets: connections end, and the sockets no longer keep their namespaces alive.
    func stop() async throws {
        // One byte, so that the thread ends before the descriptor is closed.
        let number = stopSignal.descriptor.rawValue
        try systemCall("write") { unsafe write(number, [UInt8(0)], 1) }
        try await thread.value
    }

    /// A socket for both families, bound to every address. It belongs to the namespace in which it is made.
    private static func listen(_ role: Role, port: Int, namespace: String) throws -> OwnedDescriptor {
        let address = try BlockingSocket.address(ip: "::", port: port)
        return try NamespaceReference.name(namespace).open().withEntered { () throws(SystemCallError) in
            let socket = try BlockingSocket.open(AF_INET6, SOCK_NONBLOCK)
            try BlockingSocket.set(IPPROTO_IPV6, IPV6_V6ONLY, to: CInt(0), of: socket)
            // TPROXY hands a connection over only to a socket that may answer for addresses not its own.
            if role == .sidecar { try BlockingSocket.set(IPPROTO_IPV6, IPV6_TRANSPARENT, to: CInt(1), of: socket) }
            try BlockingSocket.bind(socket, to: address)
            let number = socket.rawValue
            try systemCall("listen \(address)") { Glibc.listen(number, 256) }
            return socket
        }
    }

    private struct Served {
        var role: Role
        var isListener: Bool
        var socket: SharedDescriptor

        var number: CInt { socket.descriptor.rawValue }

        /// A connection that waits; nil if it is gone again.
        func accept() -> Served? {
            let accepted = clinux_accept(number)
            guard accepted >= 0 else { return nil }
            let connection = Served(
                role: role, isListener: false, socket: SharedDescriptor(OwnedDescriptor(adopting: accepted)))
            try? BlockingSocket.set(IPPROTO_TCP, TCP_NODELAY, to: CInt(1), of: connection.socket.descriptor)
            connection.introduce(times: 1)
            return connection
        }

        /// Answers the lines that have arrived.
        ///
        /// - Returns: whether the connection is still open. Probes end by reset.
        func answer() -> Bool {
            var chunk = [UInt8](repeating: 0, count: 4096)
            let count = unsafe recv(number, &chunk, chunk.count, 0)
            if count < 0 { return errno == EAGAIN || errno == EINTR }
            introduce(times: chunk.prefix(count).count { $0 == UInt8(ascii: "\n") })
            return count > 0
        }

        private func introduce(times: Int) {
            let text = Array(String(repeating: role.rawValue + "\n", count: times).utf8)
            // A few bytes: they fit, or the peer is gone.
            _ = unsafe send(number, text, text.count, CInt(MSG_NOSIGNAL))
        }
    }

    private static func serve(_ listeners: [Served], until stop: SharedDescriptor) throws(SystemCallError) {
        var served = listeners
        while true {
            var polled = served.map { pollfd(fd: $0.number, events: Int16(POLLIN), revents: 0) }
            polled.append(pollfd(fd: stop.descriptor.rawValue, events: Int16(POLLIN), revents: 0))
            try systemCall("poll") { unsafe poll(&polled, nfds_t(polled.count), -1) }
            if polled[served.count].revents != 0 { return }
            var accepted: [Served] = []
            var closed: Set<Int> = []
            for index in served.indices where polled[index].revents != 0 {
                if served[index].isListener {
                    if let connection = served[index].accept() { accepted.append(connection) }
                } else if !served[index].answer() {
                    closed.insert(index)
                }
            }
            if !closed.isEmpty { served = served.indices.filter { !closed.contains($0) }.map { served[$0] } }
            served += accepted
        }
    }
}
