internal import BypassAPI
internal import BypassClient
internal import Kubernetes
internal import PodBypass

/// Calls the daemon to bypass pods.
///
/// Each call has a connection of its own, and their number is limited. On a shared connection one stuck namespace would
/// delay the others, since the daemon answers in the order of the requests.
struct DaemonClient: Sendable {
    /// The reason for a failed call.
    enum Failure: Error, Hashable, Sendable {
        /// Another owner has bypassed the pod's namespace; the daemon's message.
        case foreign(String)
        case call(BypassClientError)
    }

    /// What a call is for, by its name in the metrics.
    enum Operation: String, CaseIterable {
        case on, off, status, list
    }

    let path: String
    /// Half of the connections that the daemon allows one user.
    private let semaphore = AsyncSemaphore(permits: 32)
    private let observer: @Sendable (_ operation: Operation, _ result: String) -> Void

    /// - Parameter observer: is called with each call's operation and result.
    init(_ path: String, observer: @escaping @Sendable (_ operation: Operation, _ result: String) -> Void) {
        self.path = path
        self.observer = observer
    }

    /// Bypasses a pod, or changes its bypass.
    ///
    /// - Parameter known: the bypass to be replaced.
    func turnOn(
        _ pod: PodReference, netns: String, addresses: [String], _ spec: BypassSpec, ttl: Int?,
        replacing known: BypassStatus?
    ) async throws(Failure) -> BypassStatus {
        try await call(.on) { client throws(Failure) in
            do throws(BypassClientError) {
                // The preconditions protect another owner's bypass.
                return try await client.bypass(
                    netns: netns, state: .on, direction: spec.direction, ttl: ttl, owner: pod.owner,
                    reason: spec.reason, ifGeneration: known?.generation, ifOwner: pod.owner,
                    expectAddresses: addresses, only: spec.only, connections: spec.connections
                ).status
            } catch {
                if known == nil, case .refused(let error) = error, error.known == .conflict {
                    throw .foreign(error.message)
                }
                throw .call(error)
            }
        }
    }

    /// Turns a bypass off, unless it has changed.
    ///
    /// - Parameter pod: says what happens to open connections that bypass the sidecar; nil if it is not known. Its addresses are
    ///   asked for only if its processes are in several namespaces: one that has lost its address is turned off all the same.
    /// - Returns: the namespace's status afterwards; nil if the namespace no longer exists.
    func turnOff(
        _ known: BypassStatus, of pod: Pod?
    ) async throws(Failure) -> BypassStatus? {
        let (addresses, connections) = (pod?.addresses ?? [], pod?.connectionsAtEnd)
        do throws(Failure) {
            return try await turnOff(known, expecting: nil, connections)
        } catch {
            guard case .call(.refused(let refusal)) = error, refusal.known == .netnsMismatch, !addresses.isEmpty else {
                throw error
            }
            return try await turnOff(known, expecting: addresses, connections)
        }
    }

    private func turnOff(
        _ known: BypassStatus, expecting addresses: [String]?, _ connections: OpenConnections?
    ) async throws(Failure) -> BypassStatus? {
        try await call(.off) { client throws(Failure) in
            do throws(BypassClientError) {
                return try await client.bypass(
                    netns: known.netns, state: .off, owner: known.owner, ifGeneration: known.generation,
                    ifOwner: known.owner, expectAddresses: addresses, connections: connections
                ).status
            } catch {
                if case .refused(let error) = error, error.known == .netnsNotFound { return nil }
                throw .call(error)
            }
        }
    }

    /// The present status of a namespace.
    ///
    /// - Parameter addresses: of the pod, if they are known; asked for only if its processes are in several namespaces.
    func status(of netns: String, addresses: [String] = []) async throws(Failure) -> BypassStatus {
        do throws(Failure) {
            return try await status(of: netns, expecting: nil)
        } catch {
            guard case .call(.refused(let refusal)) = error, refusal.known == .netnsMismatch, !addresses.isEmpty else {
                throw error
            }
            return try await status(of: netns, expecting: addresses)
        }
    }

    private func status(of netns: String, expecting addresses: [String]?) async throws(Failure) -> BypassStatus {
        try await call(.status) { client throws(Failure) in
            try await Self.wrapErrors { () throws(BypassClientError) in
                try await client.status(netns: netns, expectAddresses: addresses)
            }
        }
    }

    /// The present status of a bypass. The pod's name is not enough where its processes are in several namespaces.
    ///
    /// - Returns: nil if the daemon does not show it.
    func status(of known: BypassStatus) async throws(Failure) -> BypassStatus? {
        do throws(Failure) {
            return try await status(of: known.netns)
        } catch {
            guard case .call(.refused(let refusal)) = error, refusal.known == .netnsMismatch else { throw error }
            return try await list().bypasses.first { $0.inode == known.inode }
        }
    }

    /// All bypasses on the node, or as many as fit into an answer.
    func list() async throws(Failure) -> ListMethod.Result {
        try await call(.list) { client throws(Failure) in
            try await Self.wrapErrors { () throws(BypassClientError) in
                try await client.call(ListMethod.self, with: .init())
            }
        }
    }

    private func call<Result>(
        _ operation: Operation, _ body: (BypassClient) async throws(Failure) -> Result
    ) async throws(Failure) -> Result {
        do throws(Failure) {
            let result = try await semaphore.withPermit(orThrow: .call(.cancelled)) { () throws(Failure) in
                let client = try await Self.wrapErrors { () throws(BypassClientError) in
                    try await BypassClient.connect(to: path)
                }
                do throws(Failure) {
                    let result = try await body(client)
                    await client.close()
                    return result
                } catch {
                    await client.close()
                    throw error
                }
            }
            observer(operation, "ok")
            return result
        } catch {
            observer(operation, error.kind)
            throw error
        }
    }

    private static func wrapErrors<Result>(
        _ body: () async throws(BypassClientError) -> Result
    ) async throws(Failure) -> Result {
        do throws(BypassClientError) {
            return try await body()
        } catch {
            throw .call(error)
        }
    }
}

extension DaemonClient.Failure {
    /// A label value for metrics.
    fileprivate var kind: String {
        switch self {
        case .foreign: "foreign"
        case .call(.refused(let error)): error.kind ?? "refused"
        case .call: "unreachable"
        }
    }

    /// The reason that the pod is not bypassed, and the remedy; a clause.
    var reason: String {
        switch self {
        case .foreign(let message): message
        case .call(let error): error.description
        }
    }

    /// Whether the bypass has changed meanwhile: a retry sees the change.
    var isConflict: Bool {
        if case .call(.refused(let error)) = self { return error.known == .conflict }
        return false
    }
}
