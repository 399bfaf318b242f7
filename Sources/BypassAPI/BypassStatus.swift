/// Which connections pass the sidecar by.
public enum Direction: String, Codable, Hashable, Sendable, CaseIterable {
    case both, inbound, outbound
}

/// What is wanted of a namespace.
public enum Switch: String, Codable, Hashable, Sendable, CaseIterable {
    case on, off
}

/// The bypass of one namespace: what `bypass` and `status` give, and `list` a list of.
public struct BypassStatus: Codable, Hashable, Sendable {
    public enum State: String, Codable, Hashable, Sendable, CaseIterable {
        case on, off
        /// Wanted, but a rule is missing or no longer first: `warnings` says which.
        case degraded
    }

    /// The process that turned the bypass on.
    public struct Peer: Codable, Hashable, Sendable {
        public var uid: UInt32
        public var gid: UInt32
        public var pid: Int32

        public init(uid: UInt32, gid: UInt32, pid: Int32) {
            self.uid = uid
            self.gid = gid
            self.pid = pid
        }
    }

    /// A rule of the daemon's in the namespace, with the kernel's counters.
    public struct Rule: Codable, Hashable, Sendable {
        public var family: String
        public var table: String
        public var chain: String
        public var handle: UInt64
        public var packets: UInt64
        public var bytes: UInt64

        public init(family: String, table: String, chain: String, handle: UInt64, packets: UInt64, bytes: UInt64) {
            self.family = family
            self.table = table
            self.chain = chain
            self.handle = handle
            self.packets = packets
            self.bytes = bytes
        }
    }

    public struct Warning: Codable, Hashable, Sendable {
        /// For programs, such as `no-interception`.
        public var code: String
        /// One sentence for people.
        public var message: String

        public init(code: String, message: String) {
            self.code = code
            self.message = message
        }
    }

    /// The namespace as the caller named it.
    public var netns: String
    /// The number that `lsns -t net` prints.
    public var inode: UInt64
    public var state: State
    /// Whether every redirect found in the namespace, in the asked direction, is now beaten.
    public var effective: Bool
    public var direction: Direction?
    public var since: Timestamp?
    public var expiresAt: Timestamp?
    public var owner: String?
    public var reason: String?
    public var setBy: Peer?
    /// Grows with each decision about the namespace, to turn on, change, extend, turn off, or when time is over. No two
    /// decisions have the same. nil from a daemon of a version that does not count them.
    public var generation: Int?
    public var rules: [Rule]
    public var warnings: [Warning]

    public init(
        netns: String, inode: UInt64, state: State, effective: Bool, direction: Direction? = nil,
        since: Timestamp? = nil, expiresAt: Timestamp? = nil, owner: String? = nil, reason: String? = nil,
        setBy: Peer? = nil, generation: Int? = nil, rules: [Rule] = [], warnings: [Warning] = []
    ) {
        self.netns = netns
        self.inode = inode
        self.state = state
        self.effective = effective
        self.direction = direction
        self.since = since
        self.expiresAt = expiresAt
        self.owner = owner
        self.reason = reason
        self.setBy = setBy
        self.generation = generation
        self.rules = rules
        self.warnings = warnings
    }

    static let name = "BypassStatus"
    static let properties: [Schema.Property] = [
        .init("netns", .string("the namespace, as the caller named it")),
        .init("inode", .integer("the namespace's inode number, as `lsns -t net` prints it")),
        .init("state", .oneOf(State.self, "`degraded`: wanted, but a rule is missing or no longer first")),
        .init("effective", .boolean("whether every redirect found, in the asked direction, is now beaten")),
        .init("direction", .oneOf(Direction.self).orNull),
        .init("since", .string("RFC 3339, UTC").orNull),
        .init("expiresAt", .string("RFC 3339, UTC; null if the bypass does not end by itself").orNull),
        .init("owner", .string("who wants it, as the client said it").orNull),
        .init("reason", .string().orNull),
        .init(
            "setBy",
            .object(
                "the process that turned it on",
                [.init("uid", .integer()), .init("gid", .integer()), .init("pid", .integer())]
            ).orNull),
        .init(
            "generation",
            .integer("grows with each decision about the namespace: for `ifGeneration`")),
        .init(
            "rules",
            .array(
                of: .object(
                    "a rule of the daemon's, with the kernel's counters",
                    [
                        .init("family", .string("`ip`, `ip6` or `inet`")), .init("table", .string()),
                        .init("chain", .string()), .init("handle", .integer()), .init("packets", .integer()),
                        .init("bytes", .integer()),
                    ]))),
        .init(
            "warnings",
            .array(of: .object(nil, [.init("code", .string("for programs")), .init("message", .string("for people"))]))),
    ]
}
