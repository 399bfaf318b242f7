package import Bypass
package import BypassAPI

/// A permission that a policy has given, with its conditions.
package struct Permit: Hashable, Sendable {
    /// The duration of the bypass in seconds: as asked, or else the default of the grant that allows it. nil for one that
    /// does not end by itself.
    package var ttl: Int?
    /// The most that the grant allows, in seconds; nil for no limit.
    package var maxTTL: Int?
    /// The grant's for a bypass that is turned on without a ttl, in seconds; nil if it has none.
    package var defaultTTL: Int?

    package init(ttl: Int? = nil, maxTTL: Int? = nil, defaultTTL: Int? = nil) {
        self.ttl = ttl
        self.maxTTL = maxTTL
        self.defaultTTL = defaultTTL
    }

    /// - Parameter grant: the one that allows the change; nil where none is needed, or it has no limits.
    fileprivate init(_ change: Change, by grant: Grant?) {
        self.init(maxTTL: grant?.maxTTL, defaultTTL: grant?.defaultTTL)
        if case .on(_, _, let asked) = change.operation { ttl = asked ?? defaultTTL }
    }
}

/// The permissions of callers: the one place where they are decided.
///
/// One single grant has to allow all that is asked for: what one gives is not added to what another gives. Root may do
/// everything but bypass the host's namespace, whatever is granted, since root could change the policy anyway.
package struct Policy: Hashable, Sendable {
    package let grants: [Grant]
    /// Whether this is the policy of a machine without a policy file.
    package let isBuiltIn: Bool
    /// The names in it that have no number.
    package let unknownSubjects: [Grant.Subject]
    /// The parts of the file without effect for now, with the reasons.
    package let warnings: [Diagnostic]

    package init(grants: [Grant]) {
        self.init(grants: grants, isBuiltIn: false)
    }

    init(grants: [Grant], isBuiltIn: Bool, warnings: [Diagnostic] = []) {
        self.grants = grants
        self.isBuiltIn = isBuiltIn
        self.warnings = warnings
        unknownSubjects = grants.flatMap(\.subjects).filter { !$0.isKnown }
    }

    /// The users and groups that it names.
    package var names: Set<AccountName> { Set(grants.flatMap { $0.subjects.compactMap(\.name) }) }

    /// The same, once another number is known for a name, or that there is none.
    package func setting(_ name: AccountName, to id: UInt32?) -> Policy {
        let grants = grants.map { grant in
            var grant = grant
            grant.subjects = grant.subjects.map { $0.name == name ? $0.numbered(id) : $0 }
            return grant
        }
        return Policy(grants: grants, isBuiltIn: isBuiltIn, warnings: warnings)
    }

    /// The group that may read and bypass where there is no policy file.
    package static let groupName = "kmesh"

    /// The policy without a file: root is admin, the group kmesh may read and bypass, all others nothing.
    ///
    /// - Parameter group: the number of the group kmesh; nil if there is none, or it cannot be looked up now.
    package static func builtIn(group: UInt32?) -> Policy {
        Policy(grants: [Grant(subjects: [.group(group, written: groupName)], role: .bypass)], isBuiltIn: true)
    }

    /// The reason that a caller may not make a call that needs a role, whatever its parameters. It permits nothing: to be asked before a
    /// call's parameters are parsed.
    ///
    /// - Parameter what: what is refused, as it follows "may not", such as `call list`. What a client wrote is in it as
    ///   ``Swift/String/asPartOfSentence``.
    /// - Returns: nil if the caller has the role.
    package func roleRefusal(
        of caller: Caller, asking role: Permission, to what: @autoclosure () -> String
    ) -> BypassError? {
        if caller.isRoot { return nil }
        var nearest: Grant?
        for grant in grants where grant.subject(including: caller) != nil {
            if grant.role >= role { return nil }
            if nearest.map({ $0.role < grant.role }) ?? true { nearest = grant }
        }
        return .permissionDenied(
            "uid \(caller.uid) may not \(what()): \(hint(to: role, from: nearest))")
    }

    /// Decides about a change: once for each call, when its turn in the namespace has come. What the call does afterwards
    /// goes by the permit, and asks no policy again.
    package func authorize(_ change: Change, by caller: Caller) throws(BypassError) -> Permit {
        if let refusal = roleRefusal(of: caller, asking: .bypass, to: change.words(about: [])) { throw refusal }
        if change.isHost {
            try authorizeRead(netns: change.netns, isHost: true, by: caller)
            return Permit(change, by: nil)
        }
        if caller.isRoot { return Permit(change, by: nil) }
        var nearest: (grant: Grant, unmet: [UnmetRequirement])?
        for grant in grants where grant.subject(including: caller) != nil && grant.role >= .bypass {
            let unmet = grant.unmetRequirements(for: change)
            if unmet.isEmpty { return Permit(change, by: grant) }
            if nearest.map({ unmet.count < $0.unmet.count }) ?? true { nearest = (grant, unmet) }
        }
        let unmet = nearest?.unmet ?? []
        let why = nearest.map { "\($0.grant) \(unmet.words)" }
        throw .permissionDenied(
            "uid \(caller.uid) may not \(change.words(about: unmet)): \(why ?? "no grant allows it")")
    }

    /// Decides whether a caller, who has the role for it, may read a namespace's status: of all but the host's everybody may.
    package func authorizeRead(netns: String, isHost: Bool, by caller: Caller) throws(BypassError) {
        guard isHost else { return }
        guard netns == Change.host else {
            throw .hostNetnsRefused(
                "\(netns.asPartOfSentence) is the host's own network namespace: only the name \(Change.host) means it, for "
                    + "users with a grant of role admin with host = true in the policy file")
        }
        let isAllowed = grants.contains { $0.includesHost && $0.subject(including: caller) != nil }
        if isAllowed { return }
        throw .hostNetnsRefused(
            "\(netns) is the host's own network namespace: only a grant of role admin with host = true in the policy file "
                + "allows uid \(caller.uid) to touch it")
    }

    /// Whether a caller's kernel work has places of its own, and waits for no other user's.
    package func hasPriority(_ caller: Caller) -> Bool {
        caller.isRoot || grants.contains { $0.hasPriority && $0.subject(including: caller) != nil }
    }

    /// Whether the names of a namespace under /run/netns matter to a change of the caller's. If not, they need not be
    /// searched for.
    package func looksAtNames(for caller: Caller) -> Bool {
        if caller.isRoot { return false }
        var looks = false
        for grant in grants where grant.role >= .bypass && grant.subject(including: caller) != nil {
            if !grant.isLimited { return false }
            if grant.namespaces != nil { looks = true }
        }
        return looks
    }

    /// A hint at a grant that would give a caller a missing role.
    private func hint(to role: Permission, from nearest: Grant?) -> String {
        guard isBuiltIn else {
            return nearest.map { "\($0) \(UnmetRequirement.role(has: $0.role, needed: role))" }
                ?? "a grant of role \(role.rawValue) to this user or one of its groups would allow it"
        }
        if role == .admin { return "without a policy file only root may" }
        return !unknownSubjects.isEmpty
            ? "without a policy file only root and the group \(Self.groupName) may, and no such group is known here"
            : "membership of group \(Self.groupName) would allow it"
    }
}
