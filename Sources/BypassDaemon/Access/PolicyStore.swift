internal import BypassPolicy
internal import Linux
internal import Logging

/// The policy that is in force, from the policy file, read at the start and at each reload.
///
/// Names that are unknown, or have not been answered, are looked up again when the policy is evaluated, at most every two
/// seconds and on another thread: account servers may be slow, and no call waits for them.
final class PolicyStore: Sendable {
    private struct State {
        var policy: Policy
        /// The parts of it that have no effect yet, one line each.
        var warnings: [String]
        /// The names in it without a number, and those that have their last known one without an answer.
        var unconfirmed: Set<AccountName>
        /// When these are looked up again.
        var nextLookUp = Instant.now

        init(_ loaded: PolicyFile.Loaded, unanswered: Set<AccountName>) {
            policy = loaded.policy
            warnings = loaded.warnings
            let unknown = Set(policy.unknownSubjects.compactMap(\.name))
            unconfirmed = unknown.union(unanswered.intersection(policy.names))
        }
    }

    private let path: String
    private let accounts: AccountResolver
    private let logger: Logger
    private let state: Monitor<State>
    private static let lookUpInterval = Interval.seconds(2)

    /// - Throws: if the file is not in order, or missing.
    init(path: String, accounts: AccountResolver, logger: Logger) throws(PolicyLoadingError) {
        let read = try Self.read(path, accounts)
        self.path = path
        self.accounts = accounts
        self.logger = logger
        state = Monitor(State(read, unanswered: accounts.unanswered))
    }

    /// One snapshot: a decision takes it once and uses nothing else.
    var current: Policy {
        let (policy, due) = state.withLock { state -> (Policy, Set<AccountName>) in
            guard !state.unconfirmed.isEmpty, state.nextLookUp <= .now else { return (state.policy, []) }
            state.nextLookUp = .now + Self.lookUpInterval
            return (state.policy, state.unconfirmed)
        }
        for name in due { accounts.ask(name) { self.update(name, $0) } }
        return policy
    }

    /// - Parameter id: nil if there is none of that name.
    private func update(_ name: AccountName, _ id: UInt32?) {
        let isNew = state.withLock { state in
            let old = state.policy
            state.policy = old.setting(name, to: id)
            state.unconfirmed.remove(name)
            // The policy may be another one by now.
            if id == nil && state.policy.names.contains(name) { state.unconfirmed.insert(name) }
            return state.policy != old
        }
        if !isNew { return }
        let metadata: Logger.Metadata = ["account": "\(name)"]
        if id != nil {
            logger.notice("an account is known now: its grants apply", metadata: metadata)
        } else {
            logger.warning("an account no longer exists: its grants do not apply", metadata: metadata)
        }
    }

    /// The parts of the policy that have no effect yet, one line each.
    var warnings: [String] { state.withLock(\.warnings) }

    /// For people: where it is from, and how many grants it has.
    var summary: String {
        let current = current
        return current.isBuiltIn
            ? "built-in, since \(path) does not exist" : "\(path), grants: \(current.grants.count)"
    }

    /// Reads the file again. If it is not in order, the old policy stays in force.
    func reload() throws(PolicyLoadingError) {
        let new = State(try Self.read(path, accounts), unanswered: accounts.unanswered)
        state.withLock { $0 = new }
    }

    /// Neither the daemon's start nor a reload waits longer for servers of accounts than for one name.
    private static func read(
        _ path: String, _ accounts: AccountResolver
    ) throws(PolicyLoadingError) -> PolicyFile.Loaded {
        // For all names at once: one without an answer takes no time from the others.
        _ = try? PolicyFile.load(path, resolving: .asking(accounts))
        let deadline = Instant.now + AccountResolver.maxWait
        let loaded = try PolicyFile.load(path, resolving: .of(accounts, by: deadline))
        if let reason = loaded.untrustedReason { throw PolicyLoadingError(lines: [reason]) }
        return loaded
    }
}
