internal import Glibc
package import Linux
internal import SystemPackage

extension MeshSandbox {
    /// Where a name server listens, and the port of a mesh's own one in the pod, to which it redirects queries.
    package enum DatagramPort {
        package static let nameServer = 53
        package static let sidecar = 15053
    }

    /// Runs servers of UDP while `body` runs: the app on the peer's port 53, the sidecar on the pod's 15053. Each answers
    /// every datagram with its role.
    package func withNameServers<Result>(_ body: () async throws -> Result) async throws -> Result {
        let servers = try await Threads.run { [self] in
            // What is redirected is answered from the address that it was redirected to.
            try DatagramServers(
                Family.allCases.flatMap { family in
                    [
                        (.app, family.address(of: .peer), DatagramPort.nameServer, peer),
                        (.sidecar, family == .ipv4 ? "127.0.0.1" : "::1", DatagramPort.sidecar, pod),
                    ]
                })
        }
        return try await scoped(body) { try await servers.stop() }
    }

    /// Has the pod's DNS queries redirected to the sidecar, in the words of Istio's DNS capture. Queries have a zone of
    /// conntrack's, as there, so that the proxy's own queries with the same ports are other flows.
    package func captureDNS() async throws {
        for (family, command) in Mesh.iptables.restore {
            let server = family.address(of: .peer) + (family == .ipv4 ? "/32" : "/128")
            let rules =
                ["uid", "gid"].map { "-A OUTPUT -p udp -m udp --dport 53 -m owner --\($0)-owner 1337 -j RETURN" }
                + ["-A OUTPUT -d \(server) -p udp -m udp --dport 53 -j REDIRECT --to-ports \(DatagramPort.sidecar)"]
            let zones = [
                "-A OUTPUT -d \(server) -p udp -m udp --dport 53 -j CT --zone 1",
                "-A OUTPUT -p udp -m udp --sport \(DatagramPort.sidecar) -j CT --zone 1",
                "-A PREROUTING -s \(server) -p udp -m udp --sport 53 -j CT --zone 2",
            ]
            for (table, rules) in [("nat", rules), ("raw", zones)] {
                try await run(command + ["--noflush"], in: .pod, input: MeshRules.restore(table, [], rules))
            }
        }
    }

    /// A socket of the pod's that asks the peer, its name server if no other port is given.
    ///
    /// - Parameter port: what it is bound to; any if 0.
    package func datagramSocket(
        _ family: Family, port: Int = 0, to server: Int = DatagramPort.nameServer
    ) throws -> DatagramClient {
        try DatagramClient(
            from: NamespaceReference.name(pod).open(), port: port, family,
            to: BlockingSocket.address(ip: family.address(of: .peer), port: server))
    }
}

/// A socket of UDP that asks one server who answers.
package final class DatagramClient: Sendable {
    private let socket: SharedDescriptor

    init(
        from namespace: borrowing NetworkNamespace, port: Int, _ family: MeshSandbox.Family, to server: SocketAddress
    ) throws {
        let own = try BlockingSocket.address(ip: family == .ipv4 ? "0.0.0.0" : "::", port: port)
        let opened = try namespace.withEntered { () throws(SystemCallError) in
            let socket = try openDatagramSocket(own.family)
            let reuse: CInt = 1
            try BlockingSocket.set(SOL_SOCKET, SO_REUSEADDR, to: reuse, of: socket)
            let limit = timeval(tv_sec: BlockingSocket.timeout, tv_usec: 0)
            try BlockingSocket.set(SOL_SOCKET, SO_RCVTIMEO, to: limit, of: socket)
            try BlockingSocket.bind(socket, to: own)
            let number = socket.rawValue
            try systemCall("connect \(server)") { unsafe server.with { unsafe Glibc.connect(number, $0, $1) } }
            return socket
        }
        socket = SharedDescriptor(opened)
    }

    /// Sends a datagram.
    package func send() throws(SystemCallError) {
        let number = socket.descriptor.rawValue
        try systemCall("send") { unsafe Glibc.send(number, [UInt8(ascii: "?")], 1, CInt(MSG_NOSIGNAL)) }
    }

    /// Sends a datagram and waits for the answer.
    package func ask() async throws -> MeshSandbox.Answer {
        try await Threads.run { [self] in
            let number = socket.descriptor.rawValue
            do {
                try send()
                var answer = [UInt8](repeating: 0, count: 64)
                let count = try systemCall("recv") { unsafe recv(number, &answer, answer.count, 0) }
                return MeshSandbox.Answer(line: String(decoding: answer.prefix(count), as: UTF8.self))
            } catch {
                return .unanswered("\(error)")
            }
        }
    }
}

/// Servers that answer every datagram with their role, each on a thread.
final class DatagramServers: Sendable {
    private let sockets: [SharedDescriptor]
    private let threads: [Task<Void, any Error>]

    init(_ servers: [(role: Role, address: String, port: Int, namespace: String)]) throws {
        var sockets: [SharedDescriptor] = []
        var threads: [Task<Void, any Error>] = []
        for server in servers {
            let socket = SharedDescriptor(
                try Self.bind(
                    to: BlockingSocket.address(ip: server.address, port: server.port), in: server.namespace))
            sockets.append(socket)
            threads.append(Task { try await Threads.run { Self.serve(server.role, socket) } })
        }
        self.sockets = sockets
        self.threads = threads
    }

    /// Ends the threads; the sockets go with them.
    func stop() async throws {
        for socket in sockets { shutdown(socket.descriptor.rawValue, CInt(SHUT_RDWR)) }
        for thread in threads { try await thread.value }
    }

    private static func bind(to address: SocketAddress, in namespace: String) throws -> OwnedDescriptor {
        try NamespaceReference.name(namespace).open().withEntered { () throws(SystemCallError) in
            let socket = try openDatagramSocket(address.family)
            // So that a shutdown wakes the thread soon, whatever the kernel does with sockets that are not connected.
            let limit = timeval(tv_sec: 0, tv_usec: 100_000)
            try BlockingSocket.set(SOL_SOCKET, SO_RCVTIMEO, to: limit, of: socket)
            try BlockingSocket.bind(socket, to: address)
            return socket
        }
    }

    private static func serve(_ role: Role, _ socket: SharedDescriptor) {
        let number = socket.descriptor.rawValue
        let text = Array(role.rawValue.utf8)
        while true {
            var sender = sockaddr_in6()
            var length = socklen_t(MemoryLayout<sockaddr_in6>.size)
            var byte: UInt8 = 0
            let count = unsafe withUnsafeMutablePointer(to: &sender) { sender in
                unsafe sender.withMemoryRebound(to: sockaddr.self, capacity: 1) { sender in
                    let count = unsafe recvfrom(number, &byte, 1, 0, sender, &length)
                    if count > 0 { _ = unsafe sendto(number, text, text.count, CInt(MSG_NOSIGNAL), sender, length) }
                    return count
                }
            }
            if count == 0 || count < 0 && errno != EAGAIN && errno != EINTR { return }
        }
    }
}

private func openDatagramSocket(_ family: CInt) throws(SystemCallError) -> OwnedDescriptor {
    let type = CInt(SOCK_DGRAM.rawValue | SOCK_CLOEXEC.rawValue)
    return OwnedDescriptor(adopting: try systemCall("socket") { socket(family, type, 0) })
}
