public import StrictJSON

/// The connections that bypass the sidecar.
public enum Direction: String, Codable, JSONWritable, ParameterValue, Hashable, Sendable, CaseIterable {
    case both, inbound, outbound
}

/// The desired state of a namespace's bypass.
public enum BypassState: String, Codable, ParameterValue, Hashable, Sendable, CaseIterable {
    case on, off
}

/// The treatment of open TCP connections that take the other way than new ones.
public enum OpenConnections: String, Codable, ParameterValue, Hashable, Sendable, CaseIterable {
    case keep, reset
}

/// The bypass of one namespace: the result of `bypass` and `status`, and an element of the result of `list`.
public struct BypassStatus: Codable, Hashable, Sendable {
    public enum State: String, Codable, JSONWritable, Hashable, Sendable, CaseIterable {
        case on, off
        /// Wanted, but a rule is missing or no longer first: see `warnings`.
        case degraded
    }

    /// The part of the requested direction and scope that bypasses the sidecar.
    public enum Effect: String, Codable, JSONWritable, Hashable, Sendable, CaseIterable {
        /// Every new connection that a redirect would take.
        case all
        /// At least one direction in one address family; another one not, or that is not known.
        case partial = "some"
        /// Nothing, as far as is known.
        case ineffective = "none"
        /// Nothing redirects connections to a proxy.
        case nothingToBypass = "nothing-to-bypass"

        /// The value of `effective`.
        public var isEffective: Bool { self == .all || self == .nothingToBypass }
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

    /// One of the daemon's rules in the namespace, with the kernel's counters.
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

    /// The bypass that was on in a namespace last, if it has expired.
    public struct Expired: Codable, Hashable, Sendable {
        public var at: Timestamp
        public var owner: String?

        public init(at: Timestamp, owner: String? = nil) {
            self.at = at
            self.owner = owner
        }
    }

    public struct Warning: Codable, Hashable, Sendable {
        /// Those of this version.
        public enum Code: String, Hashable, Sendable, CaseIterable {
            case noInterception = "no-interception"
            case establishedConnections = "established-connections"
            case datagramFlows = "udp-flows"
            case otherNat = "other-nat"
            case foreignBypass = "foreign-bypass"
            case transparentProxy = "tproxy"
            case forwardedTraffic = "forwarded-traffic"
            case earlierRedirect = "earlier-redirect"
            case redirect
            case ruleMissing = "rule-missing"
            case ruleNotFirst = "rule-not-first"
            case guardMissing = "guard-missing"
            case contested
            case hbone
            case unreadable
            case untraced
            case truncated
            case unseen
            case leftover
            case notRecorded = "not-recorded"
        }

        /// For programs, such as `no-interception`. A later version may have more than ``Code``.
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
    /// Whether the bypass now takes precedence over every redirect found in the namespace, in the requested direction.
    public var effective: Bool
    /// The part of it that does. nil from a daemon of a version without it.
    public var effect: Effect?
    /// Whether rules of the namespace redirect connections to a proxy, unless a bypass overrides them. nil if that is not
    /// known, or was not read: an `off` reads no more than it needs.
    public var redirected: Bool?
    public var direction: Direction?
    /// The connections that the bypass is for; nil for all.
    public var only: ConnectionSet?
    /// The connections of those that it is not for.
    public var except: ConnectionSet?
    /// The control group whose sockets the bypass is for; nil for whatever sends.
    public var cgroup: UInt64?
    public var since: Timestamp?
    public var expiresAt: Timestamp?
    public var owner: String?
    public var reason: String?
    public var setBy: Peer?
    /// Grows with each decision about the namespace: turn on, change, extend, turn off, expire. No two decisions have the
    /// same generation. nil from a daemon of a version without generations.
    public var generation: Int?
    /// While off: the bypass that has expired, until the next one. Of one with an owner only, which may not have heard of it.
    public var expired: Expired?
    public var rules: [Rule]
    public var warnings: [Warning]

    public init(
        netns: String, inode: UInt64, state: State, effective: Bool, effect: Effect? = nil, redirected: Bool? = nil,
        direction: Direction? = nil, only: ConnectionSet? = nil, except: ConnectionSet? = nil, cgroup: UInt64? = nil,
        since: Timestamp? = nil, expiresAt: Timestamp? = nil, owner: String? = nil, reason: String? = nil,
        setBy: Peer? = nil, generation: Int? = nil, expired: Expired? = nil, rules: [Rule] = [],
        warnings: [Warning] = []
    ) {
        self.netns = netns
        self.inode = inode
        self.state = state
        self.effective = effective
        self.effect = effect
        self.redirected = redirected
        self.direction = direction
        self.only = only
        self.except = except
        self.cgroup = cgroup
        self.since = since
        self.expiresAt = expiresAt
        self.owner = owner
        self.reason = reason
        self.setBy = setBy
        self.generation = generation
        self.expired = expired
        self.rules = rules
        self.warnings = warnings
    }

    /// The connections that the bypass is for.
    public var scope: Scope { Scope(only: only, except: except, cgroup: cgroup) }
}

// MARK: JSON

extension BypassStatus: JSONWritableObject {
    public func writeMembers(to text: inout JSONText) {
        text.member("netns", netns)
        text.member("inode", inode)
        text.member("state", state)
        text.member("effective", effective)
        text.member("effect", effect)
        text.member("redirected", redirected)
        text.member("direction", direction)
        text.member("only", only)
        text.member("except", except)
        text.member("cgroup", cgroup)
        text.member("since", since)
        text.member("expiresAt", expiresAt)
        text.member("owner", owner)
        text.member("reason", reason)
        text.member("setBy", setBy)
        text.member("generation", generation)
        text.member("expired", expired)
        text.member("rules", rules)
        text.member("warnings", warnings)
    }
}

extension BypassStatus.Expired: JSONWritableObject {
    public func writeMembers(to text: inout JSONText) {
        text.member("at", at)
        text.member("owner", owner)
    }
}

extension BypassStatus.Peer: JSONWritableObject {
    public func writeMembers(to text: inout JSONText) {
        text.member("uid", uid)
        text.member("gid", gid)
        text.member("pid", pid)
    }
}

extension BypassStatus.Rule: JSONWritableObject {
    public func writeMembers(to text: inout JSONText) {
        text.member("family", family)
        text.member("table", table)
        text.member("chain", chain)
        text.member("handle", handle)
        text.member("packets", packets)
        text.member("bytes", bytes)
    }
}

extension BypassStatus.Warning: JSONWritableObject {
    public func writeMembers(to text: inout JSONText) {
        text.member("code", code)
        text.member("message", message)
    }
}
