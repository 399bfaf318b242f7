internal import Glibc
internal import Linux
internal import NIOCore
internal import NIOPosix
internal import Synchronization

/// A pod with a sidecar, and somebody to talk to: two network namespaces and a veth pair between them.
///
/// In the pod listen the app (port 8080) and the sidecar (15001 for what goes out, 15006 for what comes in); on the peer
/// listens another app. Each says who it is, so that a probe knows which way its connection took. No traffic is
/// redirected until `install` puts a mesh's rules into the pod's namespace.
public final class Testbed: Sendable {
    /// A network namespace that a command can run in.
    public enum Place: Sendable {
        case pod, peer
        /// The namespace of the calling process.
        case host

        var mac: String { self == .pod ? "02:00:00:00:00:01" : "02:00:00:00:00:02" }
    }

    /// The pod's namespace: a name under /run/netns.
    public let pod: String
    /// The peer's namespace: a name under /run/netns.
    public let peer: String

    private let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    /// Set by the first `tearDown`; whoever comes later waits for the same end.
    private let teardown = Mutex<Task<Void, any Error>?>(nil)

    private init(prefix: String) {
        pod = prefix + "-pod"
        peer = prefix + "-peer"
    }

    /// Makes a testbed for the time that `body` runs.
    ///
    /// - Parameter prefix: what the names of the namespaces begin with; nil for one that no other testbed has.
    public static func with<Result>(
        prefix: String? = nil, _ body: (Testbed) async throws -> Result
    ) async throws -> Result {
        let testbed = try await make(prefix: prefix)
        return try await scoped {
            try await body(testbed)
        } cleanUp: {
            try await testbed.tearDown()
        }
    }

    /// Makes a testbed that lives until `tearDown`.
    ///
    /// - Parameter prefix: what the names of the namespaces begin with; nil for one that no other testbed has. What a
    ///   testbed with the same prefix has left behind, after a crash, is removed first.
    public static func make(prefix: String? = nil) async throws -> Testbed {
        let testbed = Testbed(prefix: prefix ?? uniquePrefix())
        do {
            try await testbed.removeNamespaces()
            try await testbed.makeNamespaces()
            try await testbed.startServers()
        } catch {
            try? await testbed.tearDown()
            throw error
        }
        return testbed
    }

    /// Undoes all of it, also when it was made in part only. Can be called again, and by several tasks at once.
    public func tearDown() async throws {
        let task = teardown.withLock { current in
            // A task of its own: commands end with the task that waits for them, and the caller's may be cancelled.
            let task = current ?? Task { try await self.undo() }
            current = task
            return task
        }
        try await task.value
    }

    /// Runs a command to its end and returns its standard output.
    ///
    /// - Parameters:
    ///   - command: the program, looked up in PATH, and its arguments; no shell sees them.
    ///   - place: the network namespace to run it in. The mount namespace stays the caller's: what is pinned in
    ///     /sys/fs/bpf is visible.
    ///   - input: its standard input, empty if nil.
    /// - Throws: `CommandFailure` if it ends otherwise than with status 0.
    @discardableResult
    public func run(_ command: [String], in place: Place, input: String? = nil) async throws -> String {
        try await Command.run(command, namespace: name(of: place), input: input)
    }

    /// nil for the host's.
    func name(of place: Place) -> String? {
        switch place {
        case .pod: pod
        case .peer: peer
        case .host: nil
        }
    }

    private static let made = Atomic(0)

    private static func uniquePrefix() -> String {
        "kbt-\(getpid())-\(made.add(1, ordering: .relaxed).newValue)"
    }

    private func makeNamespaces() async throws {
        try await run(
            ["ip", "-batch", "-"], in: .host,
            input: """
                netns add \(pod)
                netns add \(peer)
                link add eth0 address \(Place.pod.mac) netns \(pod) \
                type veth peer name eth0 address \(Place.peer.mac) netns \(peer)

                """)
        for place in [Place.pod, .peer] {
            try await run(["ip", "-batch", "-"], in: place, input: "link set lo up\nlink set eth0 up\n")
        }
        for (place, other) in [(Place.pod, Place.peer), (.peer, .pod)] {
            try await waitForCarrier(in: place)
            // IPv6 needs some time for a new address: to probe for a duplicate (nodad), and, in a work queue, to listen to
            // neighbours who look for it (whom they know already need not be looked for).
            try await run(
                ["ip", "-batch", "-"], in: place,
                input: """
                    address add \(Family.ipv4.address(of: place))/24 dev eth0
                    address add \(Family.ipv6.address(of: place))/64 dev eth0 nodad
                    neighbour add \(Family.ipv6.address(of: other)) lladdr \(other.mac) dev eth0 nud permanent

                    """)
        }
    }

    /// Until the kernel has noticed a carrier, in a work queue, it drops what is sent; TCP tries again after a second.
    private func waitForCarrier(in place: Place) async throws {
        for _ in 0..<500 {
            if try await run(["ip", "link", "show", "dev", "eth0"], in: place).contains("state UP") { return }
            try await Task.sleep(for: .milliseconds(1))
        }
    }

    private func startServers() async throws {
        try await RoleServer.start(.app, port: Port.app, namespace: pod, group: group)
        try await RoleServer.start(.app, port: Port.app, namespace: peer, group: group)
        try await RoleServer.start(.sidecar, port: Port.sidecarOutbound, namespace: pod, group: group)
        try await RoleServer.start(.sidecar, port: Port.sidecarInbound, namespace: pod, group: group)
    }

    private func undo() async throws {
        // First the sockets, which keep their namespaces alive. The names go even if that fails.
        try await scoped {
            try await group.shutdownGracefully()
        } cleanUp: {
            try await removeNamespaces()
        }
    }

    /// The veth pair goes with the namespaces.
    private func removeNamespaces() async throws {
        try await scoped {
            try await removeNamespace(pod)
        } cleanUp: {
            try await removeNamespace(peer)
        }
    }

    private func removeNamespace(_ name: String) async throws {
        guard Files.exists("/run/netns/" + name) else { return }
        try await run(["ip", "netns", "delete", name], in: .host)
    }
}
