internal import Bypass
internal import BypassAPI
internal import BypassClient
internal import Console
internal import Linux

/// The bypass of one command: for its control group alone, and never for longer than a lease, which this renews while the
/// command runs. So whatever is killed, nothing stays: without processes in the group the entry has no effect, and the kernel
/// ends it when the lease is over.
struct CommandBypass: Sendable {
    private let netns: String
    private let inode: UInt64
    private let group: UInt64
    private let scope: Scope
    private let owner: String?
    private let reason: String
    private let needsSidecar: Bool
    private let path: String
    private let renewal: Duration

    /// Seconds. Longer than a restart of the daemon takes.
    private static let lease = 120
    private static let retry = Duration.seconds(5)

    /// - Parameters:
    ///   - inode: of the namespace that the command will enter.
    ///   - scope: which of its connections.
    ///   - needsSidecar: whether the namespace's other connections must pass a sidecar.
    ///   - path: of the daemon's socket.
    ///   - renewal: how long after the lease was given or renewed it is renewed.
    init(
        _ netns: String, _ inode: UInt64, group: UInt64, scope: Scope = .all, owner: String?, reason: String,
        needsSidecar: Bool = false, at path: String, renewal: Duration = .seconds(40)
    ) {
        (self.netns, self.inode, self.group, self.scope) = (netns, inode, group, scope)
        (self.owner, self.reason, self.path) = (owner, reason, path)
        self.needsSidecar = needsSidecar
        self.renewal = renewal
    }

    /// Runs a command while its connections bypass the sidecar.
    ///
    /// - Parameter cleanUp: done before the bypass ends, whatever has happened.
    func during<Result: Sendable>(
        _ command: @escaping @Sendable () async throws -> Result, cleanUp: () throws -> Void
    ) async throws -> Result {
        let generation: Int?
        do {
            // A task of its own, as below: of a call that was cancelled it is not known whether it was executed.
            generation = try await Task { try await begin() }.value
        } catch {
            clean(cleanUp)
            throw error
        }
        // Without a generation the namespace is bypassed as it is.
        let renewing = generation.map { generation in Task { await renew(generation) } }
        let result: Swift.Result<Result, any Error>
        do {
            result = .success(try await command())
        } catch {
            result = .failure(error)
        }
        clean(cleanUp)
        renewing?.cancel()
        if let last = await renewing?.value { await Task { await end(last) }.value }
        return try result.get()
    }

    private func clean(_ cleanUp: () throws -> Void) {
        do {
            try cleanUp()
        } catch {
            Console.printError("cannot remove the command's control group: \(error)")
        }
    }

    /// - Returns: the generation of the command's bypass; nil if it needs none.
    private func begin() async throws -> Int? {
        let client = try await BypassClient.connect(to: path)
        let status = try await client.status(netns: netns)
        guard status.inode == inode else {
            throw CommandFailure(
                "\(netns.printable) is namespace \(inode) here, and \(status.inode) for the daemon: run this on the node of "
                    + "the daemon", .failed, kind: "netns-mismatch")
        }
        let isOver = status.cgroup.map(CommandCgroup.isAbandoned) ?? false
        if status.state != .off && !isOver {
            if needsSidecar || !covers(status) { throw conflict(status) }
            Console.printError(
                "\(netns.printable) is bypassed already: the command bypasses the sidecar like all other connections of it"
            )
            return nil
        }
        let on = try await client.bypass(
            netns: netns, state: .on, direction: .outbound, ttl: Self.lease, owner: owner, reason: reason,
            ifGeneration: status.generation, only: scope.only, except: scope.except, cgroup: Int(group))
        guard on.effective else {
            if let generation = on.generation { await end(generation) }
            let warnings = on.warnings.map { "; \($0.code): \($0.message)" }.joined()
            throw CommandFailure(
                "the command's connections would go to the sidecar, so it is not run\(warnings)", .notEffective,
                kind: "not-effective")
        }
        if on.effect == .nothingToBypass {
            let finding = "nothing in \(netns.printable) redirects connections: there is no sidecar to bypass"
            if needsSidecar {
                if let generation = on.generation { await end(generation) }
                throw CommandFailure(finding, .failed, kind: "no-interception")
            }
            Console.printError(finding)
        }
        return on.generation
    }

    /// Whether a bypass is for the command's connections, too.
    private func covers(_ status: BypassStatus) -> Bool {
        status.state == .on && status.effective && status.direction != .inbound && scope.isSubset(of: status.scope)
    }

    private func conflict(_ status: BypassStatus) -> CommandFailure {
        let what = status.cgroup == nil ? "a bypass (\(status.scope))" : "a command that bypasses the sidecar"
        return CommandFailure(
            "\(netns.printable) has \(what) already, which this one would replace, so nothing is run: wait for its end, or "
                + "turn it off", .failed, kind: "conflict")
    }

    /// Renews the lease until it is cancelled.
    ///
    /// - Returns: the generation of the command's bypass; nil if it has ended.
    private func renew(_ first: Int) async -> Int? {
        var generation = first
        var pause = renewal
        while (try? await Task.sleep(for: pause)) != nil {
            do {
                let extended = Task { [generation] in try await extend(generation) }
                generation = try await extended.value
                pause = renewal
            } catch BypassClientError.refused(let error) where error.known == .conflict {
                await reportEnd()
                return nil
            } catch {
                if pause == renewal {
                    Console.printError("cannot renew the command's bypass, and tries again: \(error)")
                }
                pause = Self.retry
            }
        }
        return generation
    }

    private func extend(_ generation: Int) async throws -> Int {
        let client = try await BypassClient.connect(to: path)
        return try await client.extend(netns: netns, ttl: Self.lease, ifGeneration: generation).generation ?? generation
    }

    /// Another decision about the namespace was made while the command runs.
    private func reportEnd() async {
        let now = try? await BypassClient.connect(to: path).status(netns: netns)
        if let now, covers(now) { return }
        Console.printError(
            "the bypass of \(netns.printable) for this command has ended: its new connections go to the sidecar")
    }

    private func end(_ generation: Int) async {
        do {
            let client = try await BypassClient.connect(to: path)
            _ = try await client.bypass(
                netns: netns, state: .off, owner: owner, reason: reason, ifGeneration: generation)
        } catch BypassClientError.refused(let error) where [.conflict, .netnsNotFound].contains(error.known) {
            // It has expired, another decision has replaced it, or the namespace was deleted.
        } catch {
            Console.printError(
                "cannot end the command's bypass, which expires within \(Self.lease) seconds: \(error)")
        }
    }
}
