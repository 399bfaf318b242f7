internal import Bypass
internal import BypassAPI
internal import BypassKernel
internal import JSONRPC
internal import Linux
internal import StrictJSON

/// Who may do what, asked at two places: before a request's parameters are looked at, and once its namespace is open.
/// Whoever is denied is in the audit.
struct Access: Sendable {
    let policy: PolicyStore
    let audit: Audit

    /// Before anything is done: whether the caller may call such a method at all.
    func refusal(of peer: Peer, asking permission: Permission, in request: Request) -> BypassError? {
        let what = "call \(request.method)"
        guard let refusal = policy.current.refusal(of: peer.caller, asking: Role(permission), to: what) else {
            return nil
        }
        let record = AuditRecord(peer: peer, method: request.method, netns: request.netns)
        audit.note(record.failing(with: refusal))
        return refusal
    }

    /// Whether the caller may look at a namespace.
    func check(_ namespace: FoundNamespace, netns: String, for peer: Peer) throws(BypassError) {
        guard namespace.isHost else { return }
        if let refusal = policy.current.hostRefusal(of: peer.caller, netns: netns) { throw refusal }
    }

    /// Whether the caller may make a change in a namespace.
    func check(
        _ namespace: FoundNamespace, netns: String, for peer: Peer, _ wish: Change.Wish
    ) throws(BypassError) {
        let policy = policy.current
        if let refusal = policy.refusal(of: peer.caller, for: try Change(namespace, netns, peer, wish, policy)) {
            throw refusal
        }
    }

    /// The end of a bypass that the caller may turn on without saying one, in seconds; nil for none.
    func defaultTTL(
        of hooks: Set<Hook>, in namespace: FoundNamespace, netns: String, for peer: Peer
    ) throws(BypassError) -> Int? {
        let policy = policy.current
        let change = try Change(namespace, netns, peer, .on(hooks: hooks, ttl: nil), policy)
        return policy.defaultTTL(of: peer.caller, for: change)
    }
}

extension Change {
    fileprivate init(
        _ namespace: FoundNamespace, _ netns: String, _ peer: Peer, _ wish: Wish, _ policy: Policy
    ) throws(BypassError) {
        let names: [NamespaceReference]
        do throws(SystemCallError) {
            names = policy.looksAtNames(for: peer.caller) ? try NamespaceReference.named(inode: namespace.inode) : []
        } catch {
            throw BypassError(error)
        }
        self.init(
            netns: netns, reference: NamespaceReference(netns)?.canonical, names: names.map(\.canonical), wish: wish,
            isHost: namespace.isHost)
    }
}

extension Peer {
    var caller: Caller {
        Caller(uid: credentials.uid, gid: credentials.gid, groups: credentials.groups, pid: credentials.pid)
    }
}

extension Role {
    init(_ permission: Permission) {
        switch permission {
        case .read: self = .read
        case .bypass: self = .bypass
        case .admin: self = .admin
        }
    }
}

extension Request {
    /// What namespace the request is about, whatever else may be wrong with it: for the audit.
    fileprivate var netns: String? {
        let text =
            switch params {
            case .positional(let values): values.first?.string
            case .named(let members): members["netns"]?.string
            case nil: String?.none
            }
        // A name that long is none.
        return text.flatMap { $0.utf8.count < 4096 ? $0 : nil }
    }
}
