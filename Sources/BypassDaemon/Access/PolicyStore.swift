internal import BypassPolicy
internal import Linux
internal import Logging
internal import Synchronization

/// The policy that is in force, from the policy file, read at the start and at each reload.
///
/// Unknown names in it are looked up again when the policy is evaluated, at most every two seconds and on another
/// thread: account servers may be slow, and no call waits for them.
final class PolicyStore: Sendable {
    private struct State {
        var policy: Policy
        /// The parts of it that have no effect yet, one line each.
        var warnings: [String]
        /// When unknown names are looked up again; not before a look-up that is under way has ended.
        var nextLookUp = Instant.now
        var isLookingUp = false

        init(_ loaded: PolicyFile.Loaded) {
            policy = loaded.policy
            warnings = loaded.warnings
        }
    }

    private let path: String
    private let queue: WorkQueue
    private let logger: Logger
    private let state: Mutex<State>
    private static let lookUpInterval = Interval.seconds(2)
    /// For all names of a policy: neither the daemon's start nor a reload waits longer for servers of accounts.
    private static let maxLookUpTime = Interval.seconds(5)

    /// - Parameter queue: where names are looked up again.
    /// - Throws: if the file is not in order, or missing.
    init(path: String, queue: WorkQueue, logger: Logger) throws(PolicyLoadingError) {
        let read = try Self.read(path, queue)
        self.path = path
        self.queue = queue
        self.logger = logger
        state = Mutex(State(read))
    }

    /// One snapshot: a decision takes it once and uses nothing else.
    var current: Policy {
        let (policy, mustLookUp) = state.withLock { state -> (Policy, Bool) in
            let isDue = !state.policy.unknownSubjects.isEmpty && !state.isLookingUp && state.nextLookUp <= .now
            if isDue { state.isLookingUp = true }
            return (state.policy, isDue)
        }
        if mustLookUp { queue.add { self.lookUp(policy) } }
        return policy
    }

    private func lookUp(_ old: Policy) {
        let new = PolicyFile.lookUpUnknownSubjects(of: old)
        let isInForce = state.withLock { state in
            (state.isLookingUp, state.nextLookUp) = (false, .now + Self.lookUpInterval)
            // A reload meanwhile has looked them up itself.
            guard state.policy == old else { return false }
            state.policy = new
            return true
        }
        let known = Set(old.unknownSubjects.map(\.description)).subtracting(new.unknownSubjects.map(\.description))
        if isInForce && !known.isEmpty {
            logger.notice("unknown accounts found: their grants apply", metadata: ["subjects": "\(known.sorted())"])
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
        let read = try Self.read(path, queue)
        state.withLock { state in
            state.policy = read.policy
            state.warnings = read.warnings
        }
    }

    private static func read(_ path: String, _ queue: WorkQueue) throws(PolicyLoadingError) -> PolicyFile.Loaded {
        let accounts = AccountLookup.ofThisMachine.answering(by: .now + maxLookUpTime, on: queue)
        let loaded = try PolicyFile.load(path, resolving: accounts)
        if let reason = loaded.untrustedReason { throw PolicyLoadingError(lines: [reason]) }
        return loaded
    }
}
