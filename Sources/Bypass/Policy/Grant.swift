/// One grant of the policy: to whom, which role, and within which limits.
///
/// The limits go with role `bypass`. Those of direction and ttl are about turning on: whoever may bypass a namespace may
/// also end any bypass in it, since to be back in the mesh is what the policy protects.
public struct Grant: Hashable, Sendable {
    /// A user or a group.
    public enum Subject: Hashable, Sendable {
        /// `written` is what the policy file says, a name or a number.
        case user(UInt32, written: String)
        case group(UInt32, written: String)

        public func includes(_ caller: Caller) -> Bool {
            switch self {
            case .user(let uid, _): caller.uid == uid
            case .group(let gid, _): caller.isMember(of: gid)
            }
        }
    }

    /// Where it stands in the policy file; nil of a built-in one.
    public var line: Int?
    public var subjects: [Subject]
    public var role: Role
    /// nil for all but the host's.
    public var namespaces: [Glob]?
    /// Where connections may be let past the sidecar; nil for everywhere.
    public var hooks: Set<Hook>?
    /// Seconds.
    public var maxTTL: Int?
    /// Whether a bypass has to end by itself. One that does not is longer than any `maxTTL`, so that implies this.
    public var requiresTTL: Bool
    /// Seconds, for a bypass that is turned on without a word about its end.
    public var defaultTTL: Int?
    /// Whether the host's namespace may be bypassed too.
    public var allowsHost: Bool

    public init(
        line: Int? = nil, subjects: [Subject], role: Role, namespaces: [Glob]? = nil, hooks: Set<Hook>? = nil,
        maxTTL: Int? = nil, requiresTTL: Bool = false, defaultTTL: Int? = nil,
        allowsHost: Bool = false
    ) {
        self.line = line
        self.subjects = subjects
        self.role = role
        self.namespaces = namespaces
        self.hooks = hooks
        self.maxTTL = maxTTL
        self.requiresTTL = requiresTTL
        self.defaultTTL = defaultTTL
        self.allowsHost = allowsHost
    }

    /// The subject through which a caller has this grant; nil if it is not the caller's.
    public func subject(including caller: Caller) -> Subject? {
        subjects.first { $0.includes(caller) }
    }

    /// Whether the host's namespace is in it: for an administrator who was given it by word.
    var includesHost: Bool { role == .admin && allowsHost }

    /// Whether the role does not allow every change yet.
    var isLimited: Bool {
        namespaces != nil || hooks != nil || maxTTL != nil || requiresTTL || defaultTTL != nil
    }
}

extension Grant.Subject: CustomStringConvertible {
    public var description: String {
        switch self {
        case .user(_, let written): "user \(written.printable)"
        case .group(_, let written): "group \(written.printable)"
        }
    }
}

extension Grant: CustomStringConvertible {
    /// What a sentence calls it.
    public var description: String {
        if let line { return "the grant in line \(line)" }
        return "the built-in grant to " + subjects.map(\.description).joined(separator: ", ")
    }
}
