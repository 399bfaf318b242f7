/// Who may do what: the one place where it is decided.
///
/// One single grant has to allow all that is asked for: what one gives is not added to what another gives. Root may do
/// everything but bypass the host's namespace, whatever is granted, since root could change the policy anyway.
public struct Policy: Hashable, Sendable {
    public let grants: [Grant]
    /// Whether this is the policy of a machine without a policy file.
    public let isBuiltIn: Bool

    public init(grants: [Grant]) {
        self.grants = grants
        isBuiltIn = false
    }

    private init(builtIn grants: [Grant]) {
        self.grants = grants
        isBuiltIn = true
    }

    /// The group that may read and bypass where there is no policy file.
    public static let groupName = "kmesh"

    /// What holds without a policy file: root is admin, the group kmesh may read and bypass, everybody else nothing.
    ///
    /// - Parameter group: the number of the group kmesh; nil if there is none.
    public static func builtIn(group: UInt32?) -> Policy {
        guard let group else { return Policy(builtIn: []) }
        return Policy(builtIn: [Grant(subjects: [.group(group, written: groupName)], role: .bypass)])
    }

    /// Whether a caller may call what needs a role at all. To be asked before anything is told about a namespace.
    ///
    /// - Parameter what: what is refused, as it follows "may not", such as `call list`. What a client wrote is in it as
    ///   ``Swift/String/asPartOfSentence``.
    /// - Returns: nil if so.
    public func refusal(of caller: Caller, asking role: Role, to what: String) -> BypassError? {
        if caller.isRoot { return nil }
        var nearest: Grant?
        for grant in grants where grant.subject(including: caller) != nil {
            if grant.role >= role { return nil }
            if nearest.map({ $0.role < grant.role }) ?? true { nearest = grant }
        }
        return .permissionDenied(
            "uid \(caller.uid) may not \(what): \(wayOut(to: role, from: nearest))")
    }

    /// Whether a caller may make a change.
    ///
    /// - Returns: nil if so.
    public func refusal(of caller: Caller, for change: Change) -> BypassError? {
        if let refusal = refusal(of: caller, asking: .bypass, to: change.words(about: [])) { return refusal }
        if change.isHost { return hostRefusal(of: caller, netns: change.netns) }
        if caller.isRoot { return nil }
        var nearest: (grant: Grant, lacks: [Lack])?
        for grant in grants where grant.subject(including: caller) != nil && grant.role >= .bypass {
            let lacks = grant.lacks(for: change)
            if lacks.isEmpty { return nil }
            if nearest.map({ lacks.count < $0.lacks.count }) ?? true { nearest = (grant, lacks) }
        }
        let lacks = nearest?.lacks ?? []
        let why = nearest.map { "\($0.grant) \(lacks.words)" }
        return .permissionDenied(
            "uid \(caller.uid) may not \(change.words(about: lacks)): \(why ?? "no grant allows it")")
    }

    /// How long a bypass is to last, in seconds, which a caller may turn on and about whose end nothing was said: the first
    /// grant that allows it says so. nil for one that does not end by itself.
    public func defaultTTL(of caller: Caller, for change: Change) -> Int? {
        if caller.isRoot { return nil }
        return grants.first { $0.subject(including: caller) != nil && $0.lacks(for: change).isEmpty }?.defaultTTL
    }

    /// Whether a caller may have to do with the host's namespace.
    ///
    /// - Returns: nil if so.
    public func hostRefusal(of caller: Caller, netns: String) -> BypassError? {
        let isAllowed = grants.contains { $0.includesHost && $0.subject(including: caller) != nil }
        if isAllowed { return nil }
        return .hostNetnsRefused(
            "\(netns.asPartOfSentence) is the host's own network namespace: only a grant of role admin with host = true "
                + "in the policy file allows uid \(caller.uid) to touch it")
    }

    /// Whether it matters to a change of the caller's what a namespace is called under /run/netns. If not, there is no
    /// need to look.
    public func looksAtNames(for caller: Caller) -> Bool {
        if caller.isRoot { return false }
        var looks = false
        for grant in grants where grant.role >= .bypass && grant.subject(including: caller) != nil {
            if !grant.isLimited { return false }
            if grant.namespaces != nil { looks = true }
        }
        return looks
    }

    /// What would give a caller a role that none of the caller's grants gives.
    private func wayOut(to role: Role, from nearest: Grant?) -> String {
        guard isBuiltIn else {
            return nearest.map { "\($0) \(Lack.role(has: $0.role, needed: role))" }
                ?? "a grant of role \(role.rawValue) to this user or one of its groups would allow it"
        }
        if role == .admin { return "without a policy file only root may" }
        return grants.isEmpty
            ? "without a policy file only root and the group \(Self.groupName) may, and there is no such group"
            : "membership of group \(Self.groupName) would allow it"
    }
}
