package import Bypass
package import BypassAPI

/// One grant of the policy: to whom, which role, and within which limits.
///
/// The limits go with role `bypass`. Those of direction, scope and ttl are about turning on: a user who may bypass a namespace may
/// also end any bypass in it, since to be back in the mesh is what the policy protects.
package struct Grant: Hashable, Sendable {
    /// A user or a group.
    package enum Subject: Hashable, Sendable {
        /// `written` is what the policy file says, a name or a number. Without a number it is a name that this machine does
        /// not know, or cannot look up now: it applies to no account.
        case user(UInt32?, written: String)
        case group(UInt32?, written: String)

        package func includes(_ caller: Caller) -> Bool {
            switch self {
            case .user(let uid?, _): caller.uid == uid
            case .group(let gid?, _): caller.isMember(of: gid)
            case .user(nil, _), .group(nil, _): false
            }
        }

        package var isKnown: Bool {
            switch self {
            case .user(let id, _), .group(let id, _): id != nil
            }
        }

        /// The name to look up; nil if the file gives a number.
        package var name: AccountName? {
            switch self {
            case .user(let id, let written): id == nil || UInt32(written) != id ? .user(written) : nil
            case .group(let id, let written): id == nil || UInt32(written) != id ? .group(written) : nil
            }
        }

        /// The same name with another number, or with none.
        func numbered(_ id: UInt32?) -> Subject {
            switch self {
            case .user(_, let written): .user(id, written: written)
            case .group(_, let written): .group(id, written: written)
            }
        }
    }

    /// Its line in the policy file; nil of a built-in one.
    package var line: Int?
    package var subjects: [Subject]
    package var role: Permission
    /// nil for all but the host's.
    package var namespaces: [Glob]?
    /// The hooks at which connections may bypass the sidecar; nil for all.
    package var hooks: HookSet?
    /// The connections that a bypass may be for.
    package var scope: Scope
    /// Seconds.
    package var maxTTL: Int?
    /// Whether a bypass has to end by itself. One that does not is longer than any `maxTTL`, so that implies this.
    package var requiresTTL: Bool
    /// Seconds, for a bypass that is turned on without a word about its end.
    package var defaultTTL: Int?
    /// Whether the host's namespace may be bypassed too.
    package var allowsHost: Bool
    /// Whether its subjects' calls wait for no other user's.
    package var hasPriority: Bool

    package init(
        line: Int? = nil, subjects: [Subject], role: Permission, namespaces: [Glob]? = nil, hooks: HookSet? = nil,
        scope: Scope = .all, maxTTL: Int? = nil, requiresTTL: Bool = false, defaultTTL: Int? = nil,
        allowsHost: Bool = false, hasPriority: Bool = false
    ) {
        self.line = line
        self.subjects = subjects
        self.role = role
        self.namespaces = namespaces
        self.hooks = hooks
        self.scope = scope
        self.maxTTL = maxTTL
        self.requiresTTL = requiresTTL
        self.defaultTTL = defaultTTL
        self.allowsHost = allowsHost
        self.hasPriority = hasPriority
    }

    /// The subject through which a caller has this grant; nil if it is not the caller's.
    package func subject(including caller: Caller) -> Subject? {
        subjects.first { $0.includes(caller) }
    }

    /// Whether the host's namespace is in it: for an administrator who was given it by word.
    var includesHost: Bool { role == .admin && allowsHost }

    /// Whether the role does not allow every change yet.
    var isLimited: Bool {
        namespaces != nil || hooks != nil || scope != .all || maxTTL != nil || requiresTTL || defaultTTL != nil
    }
}

extension Grant.Subject: CustomStringConvertible {
    package var description: String {
        switch self {
        case .user(let uid, let written): "user \(written.printable)\(uid == nil ? " (unknown)" : "")"
        case .group(let gid, let written): "group \(written.printable)\(gid == nil ? " (unknown)" : "")"
        }
    }
}

extension Grant: CustomStringConvertible {
    /// Its name in a sentence.
    package var description: String {
        if let line { return "the grant in line \(line)" }
        return "the built-in grant to " + subjects.map(\.description).joined(separator: ", ")
    }
}
