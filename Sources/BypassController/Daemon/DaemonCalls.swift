internal import BypassAPI
internal import BypassClient

/// Asks the daemon to bypass pods.
///
/// Each call has a connection of its own, and only some are made at a time: on one connection a namespace that is stuck
/// would hold up the others, since answers come in the order of the requests.
struct DaemonCalls: Sendable {
    /// Why a pod is not bypassed.
    enum Failure: Error, Hashable, Sendable {
        /// Somebody else has bypassed the pod's namespace: who, in the daemon's words.
        case foreign(String)
        case call(BypassClientError)
    }

    let path: String
    /// Half of the connections that the daemon lets one user have.
    private let gate = Gate(32)
    private let note: @Sendable (_ operation: String, _ outcome: String) -> Void

    /// - Parameter note: told of each call, and what came of it.
    init(_ path: String, note: @escaping @Sendable (_ operation: String, _ outcome: String) -> Void) {
        self.path = path
        self.note = note
    }

    /// Bypasses a pod, or changes how.
    ///
    /// - Parameters:
    ///   - known: the bypass that is to be replaced.
    func turnOn(
        _ pod: PodName, netns: String, addresses: [String], _ options: Options, ttl: Int?, known: BypassStatus?
    ) async throws(Failure) -> BypassStatus {
        try await call("on") { client throws(Failure) in
            do throws(BypassClientError) {
                // What somebody else wants is theirs to end.
                return try await client.bypass(
                    netns: netns, state: .on, direction: options.direction, ttl: ttl, owner: pod.owner,
                    reason: options.reason, ifGeneration: known?.generation, ifOwner: pod.owner,
                    expectAddresses: addresses
                ).status
            } catch {
                if known == nil, case .refused(let error) = error, error.known == .conflict {
                    throw .foreign(error.message)
                }
                throw .call(error)
            }
        }
    }

    /// Ends a bypass, if it is still the one that is known.
    ///
    /// - Returns: the namespace as it is then; nil if it has gone.
    func turnOff(_ known: BypassStatus) async throws(Failure) -> BypassStatus? {
        try await call("off") { client throws(Failure) in
            do throws(BypassClientError) {
                return try await client.bypass(
                    netns: known.netns, state: .off, owner: known.owner, ifGeneration: known.generation,
                    ifOwner: known.owner
                ).status
            } catch {
                if case .refused(let error) = error, error.known == .netnsNotFound { return nil }
                throw .call(error)
            }
        }
    }

    /// The bypass as it is now.
    func status(of known: BypassStatus) async throws(Failure) -> BypassStatus {
        try await call("status") { client throws(Failure) in
            try await Self.daemon { () throws(BypassClientError) in try await client.status(netns: known.netns) }
        }
    }

    /// Everything that is bypassed on the node.
    func list() async throws(Failure) -> [BypassStatus] {
        try await call("list") { client throws(Failure) in
            try await Self.daemon { () throws(BypassClientError) in try await client.list() }
        }
    }

    private func call<Result>(
        _ operation: String, _ body: (BypassClient) async throws(Failure) -> Result
    ) async throws(Failure) -> Result {
        do throws(Failure) {
            let result = try await gate.run { () throws(Failure) in
                let client = try await Self.daemon { () throws(BypassClientError) in
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
            note(operation, "ok")
            return result
        } catch {
            note(operation, error.kind)
            throw error
        }
    }

    private static func daemon<Result>(
        _ body: () async throws(BypassClientError) -> Result
    ) async throws(Failure) -> Result {
        do throws(BypassClientError) {
            return try await body()
        } catch {
            throw .call(error)
        }
    }
}

extension DaemonCalls.Failure {
    /// For programs.
    var kind: String {
        switch self {
        case .foreign: "foreign"
        case .call(.refused(let error)): error.kind ?? "refused"
        case .call: "unreachable"
        }
    }

    /// Why the pod is not bypassed, and what to do; a clause.
    var reason: String {
        switch self {
        case .foreign(let words): words
        case .call(let error): error.description
        }
    }

    /// Whether somebody has decided meanwhile: a matter of looking again.
    var isConflict: Bool {
        if case .call(.refused(let error)) = self { return error.known == .conflict }
        return false
    }
}
