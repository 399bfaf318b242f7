public import JSONRPC
public import StrictJSON

/// `bypass(netns, state)`: turns the bypass of one namespace on or off.
public enum BypassMethod: RPCMethod {
    public struct Parameters: RPCParameters, Hashable {
        public var netns: String
        public var state: BypassState
        public var direction: Direction?
        /// Seconds.
        public var ttl: Int?
        public var owner: String?
        public var reason: String?
        /// Do nothing unless the namespace is at this generation.
        public var ifGeneration: Int?
        /// Do nothing if there is a bypass of another owner.
        public var ifOwner: String?
        /// Do nothing unless the namespace has at least one of these IPv4 and IPv6 addresses.
        public var expectAddresses: [String]?
        /// The connections that the bypass is for; nil for all.
        public var only: ConnectionSet?
        /// The connections of those that it is not for.
        public var except: ConnectionSet?
        /// The treatment of open TCP connections that take the other way than new ones; they are kept if left out.
        public var connections: OpenConnections?
        /// Whether rules of other programs that keep redirects from taking effect are removed.
        public var foreign: Bool?
        /// The control group whose sockets the bypass is for, by its number in cgroup v2; nil for whatever sends.
        public var cgroup: Int?

        public init(
            netns: String, state: BypassState, direction: Direction? = nil, ttl: Int? = nil, owner: String? = nil,
            reason: String? = nil, ifGeneration: Int? = nil, ifOwner: String? = nil,
            expectAddresses: [String]? = nil, only: ConnectionSet? = nil, except: ConnectionSet? = nil,
            connections: OpenConnections? = nil, foreign: Bool? = nil, cgroup: Int? = nil
        ) {
            self.netns = netns
            self.state = state
            self.direction = direction
            self.ttl = ttl
            self.owner = owner
            self.reason = reason
            self.ifGeneration = ifGeneration
            self.ifOwner = ifOwner
            self.expectAddresses = expectAddresses
            self.only = only
            self.except = except
            self.connections = connections
            self.foreign = foreign
            self.cgroup = cgroup
        }

        public init(from bound: inout BoundParameters) throws(ErrorObject) {
            netns = try bound.required("netns")
            state = try bound.required("state")
            direction = try bound.optional("direction")
            ttl = try bound.optional("ttl")
            owner = try bound.optional("owner")
            reason = try bound.optional("reason")
            ifGeneration = try bound.optional("ifGeneration")
            ifOwner = try bound.optional("ifOwner")
            expectAddresses = try bound.optional("expectAddresses")
            only = try bound.optional("only")
            except = try bound.optional("except")
            connections = try bound.optional("connections")
            foreign = try bound.optional("foreign")
            cgroup = try bound.optional("cgroup")
        }
    }

    /// The status of the namespace, and whether this call changed anything.
    @dynamicMemberLookup
    public struct Result: Codable, JSONWritableObject, Hashable, Sendable {
        public var status: BypassStatus
        public var changed: Bool
        /// The number of open TCP connections that this call ended.
        public var ended: Int
        /// The rules of other programs that this call removed, as iptables writes them, each behind its chain.
        public var removed: [String]

        public init(status: BypassStatus, changed: Bool, ended: Int = 0, removed: [String] = []) {
            self.status = status
            self.changed = changed
            self.ended = ended
            self.removed = removed
        }

        public subscript<Value>(dynamicMember member: KeyPath<BypassStatus, Value>) -> Value {
            status[keyPath: member]
        }

        public func writeMembers(to text: inout JSONText) {
            text.member("changed", changed)
            text.member("ended", ended)
            text.member("removed", removed)
            status.writeMembers(to: &text)
        }

        private enum CodingKeys: CodingKey {
            case changed, ended, removed
        }

        public init(from decoder: any Decoder) throws {
            status = try BypassStatus(from: decoder)
            let container = try decoder.container(keyedBy: CodingKeys.self)
            changed = try container.decode(Bool.self, forKey: .changed)
            // A daemon of an earlier version ends none.
            ended = try container.decodeIfPresent(Int.self, forKey: .ended) ?? 0
            removed = try container.decodeIfPresent([String].self, forKey: .removed) ?? []
        }
    }

    public static let name = "bypass"
    public static let summary = "Turns the bypass of one network namespace on or off."
    public static let description = """
        `on` while on replaces direction, scope, ttl, owner and reason without interrupting the bypass. `off` while off \
        succeeds. New TCP connections change their path, and UDP at once; open TCP connections keep theirs unless \
        `connections` is `reset`. `warnings` says so if connections are established.
        """
    public static let permission = Permission.bypass
    public static let parameters: ParameterTable = [
        Parameter("netns", Naming.summary, required: true, Naming.schema),
        Parameter("state", "the desired state", required: true, .oneOf(BypassState.self)),
        Parameter("direction", "with `on` only; `both` if left out", .oneOf(Direction.self)),
        Parameter("ttl", "with `on` only: seconds until the bypass expires", TimeToLive.schema),
        Parameter("owner", "informational, such as `kubernetes:default/web-0`", .string(length: 1...256)),
        Parameter("reason", "for the audit log", .string(length: 0...256)),
        generation,
        Parameter(
            "ifOwner", "fail with `conflict` if there is a bypass of another owner",
            .string(length: 1...256)),
        Naming.expectedAddresses,
        Parameter("only", "with `on` only: the connections that the bypass is for", ConnectionSet.schema()),
        Parameter("except", "with `on` only: connections that the bypass is not for", ConnectionSet.schema()),
        Parameter(
            "connections",
            "`keep` if left out; `reset` ends open TCP connections that take the other way than new ones",
            .oneOf(OpenConnections.self)),
        Parameter(
            "foreign",
            "with `off` only: remove the rules that `foreign-bypass` warns of, as Kmesh's controller inserts them",
            .boolean()),
        Parameter(
            "cgroup",
            """
            with `on`, `direction` outbound and a `ttl` only: the bypass is for sockets that processes of this control \
            group open: its number in cgroup v2, which is the inode number of its folder
            """,
            .integer(minimum: 1)),
    ]
    static let generation = Parameter(
        "ifGeneration", "fail with `conflict` unless the namespace is at this generation", .integer())
    public static let result = Schema.component(
        "BypassResult",
        .object(
            "the bypass after the call",
            [
                .init("changed", .boolean("whether this call changed anything")),
                .init("ended", .integer("how many open TCP connections this call ended")),
                .init("removed", .array(of: .string(), "the rules of other programs that this call removed")),
            ] + BypassStatus.properties))
    public static let errors: [ErrorCode] = ErrorCode.allCases
    public static let combinations: [Schema] = [
        .any(
            of: [
                .object(
                    "`foreign` goes with `off` only",
                    [.init("state", .string(values: [BypassState.on.rawValue]))]
                        + ["foreign", "cgroup"].map { .init($0, .null, required: false) }),
                .object(
                    "`cgroup` goes with `direction` outbound and a `ttl` only",
                    [
                        .init("state", .string(values: [BypassState.on.rawValue])),
                        .init("foreign", .null, required: false), .init("cgroup", .integer()),
                        .init("direction", .string(values: [Direction.outbound.rawValue])), .init("ttl", .integer()),
                    ]),
                .object(
                    "`direction`, `ttl`, `only`, `except` and `cgroup` go with `on` only",
                    [.init("state", .string(values: [BypassState.off.rawValue]))]
                        + ["direction", "ttl", "only", "except", "cgroup"].map {
                            .init($0, .null, required: false)
                        }),
            ])
    ]
    public static var example: (parameters: Parameters, result: Result)? {
        (
            Parameters(netns: "web", state: .on, ttl: 900, owner: "alice", reason: "INC-4711"),
            Result(status: .example, changed: true)
        )
    }
}
