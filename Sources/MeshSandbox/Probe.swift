package import Linux

extension MeshSandbox {
    /// The direction of a connection, seen from the pod.
    package enum Direction: String, CaseIterable, Hashable, Sendable {
        case inbound, outbound
    }

    /// The Internet protocol of a connection.
    package enum Family: String, CaseIterable, Hashable, Sendable {
        case ipv4, ipv6

        /// The address on eth0. Each sandbox has the same ones: its two namespaces see no others.
        package func address(of place: Place) -> String {
            let host = place == .pod ? 1 : 2
            return self == .ipv4 ? "10.89.0.\(host)" : "fd89::\(host)"
        }
    }

    /// The program that answered a connection.
    package enum Answer: Hashable, Sendable, CustomStringConvertible {
        case app, sidecar
        /// There was no connection, or nothing was sent over it: the reason, for people.
        case unanswered(String)

        package var description: String {
            switch self {
            case .app: "app"
            case .sidecar: "sidecar"
            case .unanswered(let reason): "no answer (\(reason))"
            }
        }

        package init(line: String) {
            switch Role(rawValue: line) {
            case .app: self = .app
            case .sidecar: self = .sidecar
            case nil: self = .unanswered("unknown role \(line)")
            }
        }
    }
}

extension MeshSandbox {
    /// Opens a TCP connection to an app and returns who answered: inbound from the peer to the pod's app, outbound from the
    /// pod to the peer's. Gives up after 2 seconds of silence.
    package func whoAnswers(_ direction: Direction, _ family: Family) async throws -> Answer {
        let probe = try Probe(self, direction, family)
        return try await Threads.run { try probe.ask() }
    }
}

/// The two ends of a connection to make.
package struct Probe: Sendable {
    let namespace: String
    let target: SocketAddress
    /// nil for any port.
    private let own: SocketAddress?

    /// - Parameter port: to connect from; any if nil.
    package init(
        _ sandbox: MeshSandbox, _ direction: MeshSandbox.Direction, _ family: MeshSandbox.Family, port: Int? = nil
    ) throws {
        let inbound = direction == .inbound
        own = try port.map { try BlockingSocket.address(ip: family == .ipv4 ? "0.0.0.0" : "::", port: $0) }
        namespace = inbound ? sandbox.peer : sandbox.pod
        target = try BlockingSocket.address(ip: family.address(of: inbound ? .pod : .peer), port: Port.app)
    }

    /// To a peer's or a pod's app from a namespace of the test's own.
    package init(from namespace: String, _ family: MeshSandbox.Family, to place: MeshSandbox.Place) throws {
        self.namespace = namespace
        own = nil
        target = try BlockingSocket.address(ip: family.address(of: place), port: Port.app)
    }

    package func open() throws -> NetworkNamespace {
        try NamespaceReference.name(namespace).open()
    }

    /// A new connection, from a thread that may block.
    package func connect() throws -> BlockingSocket {
        try BlockingSocket(connectingTo: target, from: open(), bindingTo: own)
    }

    package func ask() throws -> MeshSandbox.Answer {
        ask(from: try open())
    }

    package func ask(from namespace: borrowing NetworkNamespace) -> MeshSandbox.Answer {
        do {
            return MeshSandbox.Answer(line: try BlockingSocket(connectingTo: target, from: namespace).readLine())
        } catch {
            return .unanswered("\(error)")
        }
    }
}
