internal import Glibc
internal import Linux
internal import Synchronization

/// A pod with a sidecar, and a peer for it: two network namespaces and a veth pair between them.
///
/// In the pod listen the app (port 8080) and the sidecar (15001 for what goes out, 15006 for what comes in); on the peer
/// listens another app. Each sends its role, so that a probe knows which path its connection took. No traffic is
/// redirected until `install` puts a mesh's rules into the pod's namespace.
package final class MeshSandbox: Sendable {
    /// A network namespace that a command can run in.
    package enum Place: Sendable {
        case pod, peer
        /// The namespace of the calling process.
        case host

        var mac: String { self == .pod ? "02:00:00:00:00:01" : "02:00:00:00:00:02" }
    }

    /// The pod's namespace: a name under /run/netns.
    package let pod: String
    /// The peer's namespace: a name under /run/netns.
    package let peer: String

    /// A namespace that the sandbox did not make has a name that the sandbox needs.
    package struct NameTaken: Error, CustomStringConvertible {
        package var name: String

        package var description: String {
            "/run/netns/\(name) exists already, and is left alone: if it is not needed, 'ip netns delete \(name)'"
        }
    }

    /// The names of the namespaces that are this sandbox's, and that `tearDown` removes.
    private let claimed = Mutex<[String]>([])
    private let servers = Mutex<RoleServers?>(nil)
    /// Set by the first `tearDown`; later calls wait for the same task.
    private let teardown = Mutex<Task<Void, any Error>?>(nil)

    private init(prefix: String) {
        pod = prefix + "-pod"
        peer = prefix + "-peer"
    }

    /// Makes a sandbox for the time that `body` runs.
    ///
    /// - Parameter prefix: what the names of the namespaces begin with; nil for one that no other sandbox has.
    package static func with<Result>(
        prefix: String? = nil, _ body: (MeshSandbox) async throws -> Result
    ) async throws -> Result {
        let sandbox = try await make(prefix: prefix)
        return try await scoped {
            try await body(sandbox)
        } cleanUp: {
            try await sandbox.tearDown()
        }
    }

    /// Makes a sandbox that lives until `tearDown`.
    ///
    /// - Parameter prefix: what the names of the namespaces begin with; nil for one that no other sandbox has.
    /// - Throws: ``NameTaken`` if a namespace has one of the names already. It is left alone.
    package static func make(prefix: String? = nil) async throws -> MeshSandbox {
        let sandbox = MeshSandbox(prefix: prefix ?? uniquePrefix())
        do {
            try sandbox.claimNames()
            try await sandbox.makeNamespaces()
            try await sandbox.startServers()
        } catch {
            try? await sandbox.tearDown()
            throw error
        }
        return sandbox
    }

    /// Undoes all of it, also when it was made in part only. Can be called again, and by several tasks at once.
    package func tearDown() async throws {
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
    package func run(_ command: [String], in place: Place, input: String? = nil) async throws -> String {
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

    /// Before anything is made: also a command that is interrupted may have made a namespace.
    private func claimNames() throws {
        for name in [pod, peer] where Files.exists("/run/netns/" + name) { throw NameTaken(name: name) }
        claimed.withLock { $0 = [pod, peer] }
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
        let list = [
            (Role.app, Port.app, pod), (.app, Port.app, peer), (.sidecar, Port.sidecarOutbound, pod),
            (.sidecar, Port.sidecarInbound, pod),
        ]
        let started = try await Threads.run { try RoleServers(list) }
        servers.withLock { $0 = started }
    }

    private func undo() async throws {
        // First the sockets, which keep their namespaces alive. The names go even if that fails.
        try await scoped {
            try await servers.withLock(\.self)?.stop()
            servers.withLock { $0 = nil }
        } cleanUp: {
            try await removeNamespaces()
        }
    }

    /// The veth pair goes with the namespaces. One that cannot be removed does not keep the other.
    private func removeNamespaces() async throws {
        var failure: (any Error)?
        for name in claimed.withLock(\.self) {
            do { try await removeNamespace(name) } catch { failure = failure ?? error }
        }
        if let failure { throw failure }
    }

    private func removeNamespace(_ name: String) async throws {
        guard Files.exists("/run/netns/" + name) else { return }
        try await run(["ip", "netns", "delete", name], in: .host)
    }
}
