internal import Bypass
internal import BypassAPI
internal import BypassPolicy
internal import Datapath
internal import JSONRPC
internal import Linux
internal import Logging
internal import StrictJSON
internal import Synchronization

/// The policy that is in force, from the policy file, read at the start and at each reload.
///
/// Names in it that the machine did not know are looked up again when the policy is asked, once in a few seconds and on
/// another thread: the servers of accounts may be slow, and no call waits for them.
final class PolicyStore: Sendable {
    private struct State {
        var policy: Policy
        /// What of it has no effect for now: lines for people.
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

    /// - Parameter queue: where names are looked up again.
    /// - Throws: if the file is not in order, or missing.
    init(path: String, queue: WorkQueue, logger: Logger) throws(PolicyLoadingError) {
        let read = try Self.read(path)
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
            logger.notice("now known: the policy's grants apply", metadata: ["subjects": "\(known.sorted())"])
        }
    }

    /// What of the policy has no effect for now: lines for people.
    var warnings: [String] { state.withLock(\.warnings) }

    /// For people: where it is from, and how many grants it has.
    var summary: String {
        let current = current
        return current.isBuiltIn
            ? "built-in, since \(path) does not exist" : "\(path), grants: \(current.grants.count)"
    }

    /// Reads the file again. If it is not in order, the old policy stays in force.
    func reload() throws(PolicyLoadingError) {
        let read = try Self.read(path)
        state.withLock { state in
            state.policy = read.policy
            state.warnings = read.warnings
        }
    }

    private static func read(_ path: String) throws(PolicyLoadingError) -> PolicyFile.Loaded {
        let loaded = try PolicyFile.load(path)
        if let reason = loaded.untrustedReason { throw PolicyLoadingError(lines: [reason]) }
        return loaded
    }
}

/// Who may do what.
///
/// Before parameters are parsed, ``roleRefusal(of:asking:in:)`` turns away who may not call such a method at all. The
/// decision about a call is made later, once, when its turn in the namespace has come: under one snapshot of the policy, for
/// exactly that namespace. It gives a permit, and nothing after it reads the policy.
struct Authorizer: Sendable {
    let policy: PolicyStore
    let audit: Audit

    /// Why the caller may not call a method that needs this permission, whatever it is called for; nil if that is not so.
    /// It permits nothing.
    func roleRefusal(
        of peer: Peer, asking permission: Permission, in request: Request, _ after: inout AfterAnswer
    ) -> BypassError? {
        if peer.credentials.uid == 0 { return nil }
        guard
            let refusal = policy.current.roleRefusal(of: peer.caller, asking: permission, to: "call \(request.method)")
        else { return nil }
        let record = AuditRecord(peer: peer, method: request.method, netns: request.netns).failing(with: refusal)
        after.add { [audit] in audit.write(record) }
        return refusal
    }

    /// Whether the caller's kernel work has places of its own.
    func hasPriority(_ peer: Peer) -> Bool {
        peer.credentials.uid == 0 || policy.current.hasPriority(peer.caller)
    }

    /// Whether the caller may read the status of a namespace.
    func authorizeRead(_ namespace: ResolvedNamespace, netns: String, by peer: Peer) throws(BypassError) {
        try policy.current.authorizeRead(netns: netns, isHost: namespace.isHost, by: peer.caller)
    }

    /// Decides about a change.
    func authorize(
        _ operation: Change.Operation, in namespace: ResolvedNamespace, netns: String, by peer: Peer
    ) throws(BypassError) -> Permit {
        let policy = policy.current
        var names: [NamespaceReference] = []
        if policy.looksAtNames(for: peer.caller) {
            do throws(SystemCallError) {
                names = try NamespaceReference.named(inode: namespace.inode)
            } catch {
                throw BypassError(error)
            }
        }
        let change = Change(
            netns: netns, reference: NamespaceReference(netns)?.canonical, names: names.map(\.canonical),
            operation: operation, isHost: namespace.isHost)
        return try policy.authorize(change, by: peer.caller)
    }
}

/// A namespace that was opened for a caller, before anything is done in it.
struct ResolvedNamespace: Sendable {
    var inode: UInt64
    /// Whether it is the host's own.
    var isHost: Bool
}

extension Peer {
    var caller: Caller {
        Caller(uid: credentials.uid, gid: credentials.gid, groups: credentials.groups, pid: credentials.pid)
    }
}

extension Request {
    /// The namespace that the request names, whatever else may be wrong with it: for the audit.
    fileprivate var netns: String? {
        let text =
            switch params {
            case .positional(let values): values.first?.string
            case .named(let members): members["netns"]?.string
            case nil: String?.none
            }
        // A longer text does not name a namespace.
        return text.flatMap { $0.utf8.count < 4096 ? $0 : nil }
    }
}
