/// `bypass(netns, state)`: turns the bypass of one namespace on or off.
public enum BypassMethod: RPCMethod {
    public struct Parameters: Codable, Hashable, Sendable {
        public var netns: String
        public var state: Switch
        public var direction: Direction?
        /// Seconds.
        public var ttl: Int?
        public var owner: String?
        public var reason: String?
        /// The generation that the caller's decision was made on: if it is another by now, nothing is done.
        public var ifGeneration: Int?
        /// The only one whose bypass may be changed or ended: if it is somebody else's, nothing is done.
        public var ifOwner: String?
        /// IPv4 and IPv6 addresses, of which the namespace must have at least one: if it has none, nothing is done.
        public var expectAddresses: [String]?

        public init(
            netns: String, state: Switch, direction: Direction? = nil, ttl: Int? = nil, owner: String? = nil,
            reason: String? = nil, ifGeneration: Int? = nil, ifOwner: String? = nil,
            expectAddresses: [String]? = nil
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
        }
    }

    /// The object of the contract, and whether this call changed anything.
    @dynamicMemberLookup
    public struct Result: Codable, Hashable, Sendable {
        public var status: BypassStatus
        public var changed: Bool

        public init(status: BypassStatus, changed: Bool) {
            self.status = status
            self.changed = changed
        }

        public subscript<Value>(dynamicMember member: KeyPath<BypassStatus, Value>) -> Value {
            status[keyPath: member]
        }

        private enum CodingKeys: CodingKey {
            case changed
        }

        public init(from decoder: any Decoder) throws {
            status = try BypassStatus(from: decoder)
            changed = try decoder.container(keyedBy: CodingKeys.self).decode(Bool.self, forKey: .changed)
        }

        public func encode(to encoder: any Encoder) throws {
            var container = encoder.container(keyedBy: CodingKeys.self)
            try container.encode(changed, forKey: .changed)
            try status.encode(to: encoder)
        }
    }

    public static let name = "bypass"
    public static let summary = "Turns the bypass of one network namespace on or off."
    public static let description = """
        `on` while on replaces direction, ttl, owner and reason, without a moment in which traffic goes to the mesh. \
        `off` while off is no error. Only new connections change their path; `warnings` says so where it matters.
        """
    public static let permission = Permission.bypass
    public static let parameters = [
        Parameter("netns", Naming.summary, required: true, Naming.schema),
        Parameter("state", "what is wanted", required: true, .oneOf(Switch.self)),
        Parameter("direction", "with `on` only; `both` if left out", .oneOf(Direction.self)),
        Parameter("ttl", "with `on` only: seconds until the bypass ends by itself", .integer(minimum: 1)),
        Parameter("owner", "who wants it, such as `kubernetes:default/web-0`", .string(length: 1...256)),
        Parameter("reason", "for the audit log", .string(length: 0...256)),
        generation,
        Parameter(
            "ifOwner", "do nothing, but for a `conflict`, if there is a bypass of another owner",
            .string(length: 1...256)),
        Parameter(
            "expectAddresses", "do nothing, but for a `netns-mismatch`, unless the namespace has one of these IPs",
            .array(of: .string(length: 1...64))),
    ]
    static let generation = Parameter(
        "ifGeneration", "do nothing, but for a `conflict`, unless the namespace is at this generation",
        .integer(minimum: 0))
    public static let result = Schema.object(
        nil, [.init("changed", .boolean("whether this call changed anything"))] + BypassStatus.properties)
    public static let errors: [ErrorCode] = ErrorCode.allCases
}
