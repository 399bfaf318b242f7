internal import Bypass
internal import BypassAPI
internal import BypassPolicy
internal import Datapath
internal import JSONRPC
internal import Linux
internal import StrictJSON

/// The permissions of callers.
///
/// Before parameters are parsed, ``roleRefusal(of:asking:in:)`` turns away who may not call such a method at all. The
/// decision about a call is made later, once, when its turn in the namespace has come: under one snapshot of the policy, for
/// exactly that namespace. It gives a permit, and nothing after it reads the policy.
struct Authorizer: Sendable {
    let policy: PolicyStore
    let audit: Audit

    /// The reason that the caller may not call any method that needs this permission; nil if it may.
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
        var reference: NamespaceReference?
        var names: [NamespaceReference] = []
        if policy.looksAtNames(for: peer.caller) {
            reference = NamespaceReference(netns)
            do throws(SystemCallError) {
                names = try NamespaceReference.named(inode: namespace.inode)
            } catch {
                throw BypassError(error)
            }
        }
        let change = Change(
            netns: netns, reference: reference?.canonical, names: names.map(\.canonical), operation: operation,
            isHost: namespace.isHost)
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
