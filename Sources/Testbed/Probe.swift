internal import Linux
internal import NIOCore
internal import Synchronization

extension Testbed {
    /// Which way a connection goes, seen from the pod.
    public enum Direction: String, CaseIterable, Hashable, Sendable {
        case inbound, outbound
    }

    /// Which Internet protocol a connection uses.
    public enum Family: String, CaseIterable, Hashable, Sendable {
        case ipv4, ipv6

        /// The address on eth0. Each testbed has the same ones: its two namespaces see nobody else.
        func address(of place: Place) -> String {
            let host = place == .pod ? 1 : 2
            return self == .ipv4 ? "10.89.0.\(host)" : "fd89::\(host)"
        }
    }

    /// Who answered a connection.
    public enum Answer: Hashable, Sendable, CustomStringConvertible {
        case app, sidecar
        /// There was no connection, or it went silent: the reason, for people.
        case nobody(String)

        public var description: String {
            switch self {
            case .app: "app"
            case .sidecar: "sidecar"
            case .nobody(let reason): "nobody (\(reason))"
            }
        }

        init(line: String) {
            switch Role(rawValue: line) {
            case .app: self = .app
            case .sidecar: self = .sidecar
            case nil: self = .nobody("somebody says \(line)")
            }
        }
    }
}

extension Testbed {
    /// Opens a TCP connection to an app and tells who took it: inbound from the peer to the pod's app, outbound from the
    /// pod to the peer's. Gives up after 2 seconds of silence.
    public func whoAnswers(_ direction: Direction, _ family: Family) async throws -> Answer {
        let probe = try Probe(self, direction, family)
        return try await Threads.run { try probe.ask() }
    }

    /// Opens a TCP connection as `whoAnswers` does, and leaves it open.
    ///
    /// - Throws: `SystemCallError` if nobody takes it.
    public func connect(_ direction: Direction, _ family: Family) async throws -> Connection {
        let probe = try Probe(self, direction, family)
        return try await Threads.run {
            let socket = try BlockingSocket(connectingTo: probe.target, from: probe.open())
            let greeting = Answer(line: try socket.readLine())
            return Connection(socket, greeting: greeting)
        }
    }

    /// An established connection between the pod and its peer.
    public final class Connection: Sendable {
        /// Who answered when it was opened.
        public let greeting: Answer
        /// Guards: one question at a time, none after `close`.
        private let socket: Mutex<BlockingSocket?>

        init(_ socket: consuming BlockingSocket, greeting: Answer) {
            self.greeting = greeting
            self.socket = Mutex(socket)
        }

        /// Asks the other end again who it is: what is established stays with whom it was established.
        public func ask() async throws -> Answer {
            try await Threads.run { [self] in
                socket.withLock { socket in
                    do {
                        guard let line = try socket?.exchange("?") else { return .nobody("closed by the probe") }
                        return Answer(line: line)
                    } catch {
                        return .nobody("\(error)")
                    }
                }
            }
        }

        /// Resets the connection; it ends with the object otherwise.
        public func close() {
            socket.withLock { $0 = nil }
        }
    }
}

extension BlockingSocket {
    /// Sends a line and waits for one.
    borrowing func exchange(_ line: String) throws(SystemCallError) -> String {
        try send(line + "\n")
        return try readLine()
    }
}

/// Where to connect from and to.
struct Probe: Sendable {
    let namespace: String
    let target: SocketAddress

    init(_ testbed: Testbed, _ direction: Testbed.Direction, _ family: Testbed.Family) throws {
        let inbound = direction == .inbound
        namespace = inbound ? testbed.peer : testbed.pod
        target = try SocketAddress(ipAddress: family.address(of: inbound ? .pod : .peer), port: Port.app)
    }

    func open() throws -> NetworkNamespace {
        try NamespaceReference.name(namespace).open()
    }

    func ask() throws -> Testbed.Answer {
        ask(from: try open())
    }

    func ask(from namespace: borrowing NetworkNamespace) -> Testbed.Answer {
        do {
            return Testbed.Answer(line: try BlockingSocket(connectingTo: target, from: namespace).readLine())
        } catch {
            return .nobody("\(error)")
        }
    }
}
