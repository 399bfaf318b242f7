public import JSONRPC
public import StrictJSON

/// `explain(netns)`: the way of a connection's first packet through one namespace.
public enum ExplainMethod: RPCMethod {
    public enum TransportProtocol: String, Codable, JSONWritable, ParameterValue, Hashable, Sendable, CaseIterable {
        case tcp, udp
    }

    public struct Parameters: RPCParameters, Hashable {
        public var netns: String
        /// `192.0.2.1:80`, `[2001:db8::1]:80`.
        public var to: String?
        public var from: String?
        public var `protocol`: TransportProtocol?
        /// Of the process that connects.
        public var uid: Int?

        public init(
            netns: String, to: String? = nil, from: String? = nil, protocol: TransportProtocol? = nil, uid: Int? = nil
        ) {
            self.netns = netns
            self.to = to
            self.from = from
            self.protocol = `protocol`
            self.uid = uid
        }

        public init(from bound: inout BoundParameters) throws(ErrorObject) {
            netns = try bound.required("netns")
            to = try bound.optional("to")
            from = try bound.optional("from")
            `protocol` = try bound.optional("protocol")
            uid = try bound.optional("uid")
        }
    }

    public struct Result: Codable, Hashable, Sendable {
        /// The namespace as the caller named it.
        public var netns: String
        public var inode: UInt64
        public var probes: [Probe]
        public var warnings: [BypassStatus.Warning]

        public init(netns: String, inode: UInt64, probes: [Probe], warnings: [BypassStatus.Warning]) {
            self.netns = netns
            self.inode = inode
            self.probes = probes
            self.warnings = warnings
        }
    }

    /// One first packet.
    public struct Probe: Codable, Hashable, Sendable {
        public var direction: Direction
        /// `ip` or `ip6`.
        public var family: String
        public var `protocol`: TransportProtocol
        public var to: String
        public var from: String?
        public var source: Source
        public var steps: [Step]
        public var ends: End

        public init(
            direction: Direction, family: String, protocol: TransportProtocol, to: String, from: String?,
            source: Source, steps: [Step], ends: End
        ) {
            self.direction = direction
            self.family = family
            self.protocol = `protocol`
            self.to = to
            self.from = from
            self.source = source
            self.steps = steps
            self.ends = ends
        }
    }

    /// The source of an answer.
    public enum Source: String, Codable, JSONWritable, Hashable, Sendable, CaseIterable {
        /// The kernel traced a packet.
        case trace
        /// The daemon evaluated the rules.
        case rules
    }

    /// A rule that matches, or the end of a base chain.
    public struct Step: Codable, Hashable, Sendable {
        public var hook: String
        public var priority: Int32
        public var family: String
        public var table: String
        public var chain: String
        /// nil for the end of a base chain.
        public var rule: String?
        public var verdict: String
        public var decides: Bool

        public init(
            hook: String, priority: Int32, family: String, table: String, chain: String, rule: String?,
            verdict: String, decides: Bool
        ) {
            self.hook = hook
            self.priority = priority
            self.family = family
            self.table = table
            self.chain = chain
            self.rule = rule
            self.verdict = verdict
            self.decides = decides
        }
    }

    public struct End: Codable, Hashable, Sendable {
        public enum Place: String, Codable, JSONWritable, Hashable, Sendable, CaseIterable {
            case application, sidecar, dropped, unknown
        }

        public var at: Place
        public var port: Int?
        /// What listens there, by its name and its number among the node's processes: `envoy[4711]`. nil: not known.
        public var process: String?
        /// Whether something listens there. nil: not known, or not in the namespace.
        public var isListening: Bool?

        public init(at place: Place, port: Int? = nil, process: String? = nil, isListening: Bool? = nil) {
            at = place
            self.port = port
            self.process = process
            self.isListening = isListening
        }

        private enum CodingKeys: String, CodingKey {
            case at, port, process
            case isListening = "listening"
        }
    }

    public static let name = "explain"
    public static let summary = "Shows the path of a connection's first packet through one network namespace."
    public static let description = """
        The hooks that it crosses in their order, the rules that match, the one that decides, and where the packet ends. \
        Bypassed or not; nothing is changed.
        """
    public static let permission = Permission.bypass
    public static let parameters: ParameterTable = [
        Parameter("netns", Naming.summary, required: true, Naming.schema),
        Parameter(
            "to", "where it is sent to, such as `192.0.2.1:80` or `[2001:db8::1]:80`; several examples if left out",
            .string(length: 1...64, format: "ip-address-and-port", examples: ["192.0.2.1:80", "[2001:db8::1]:80"])),
        Parameter("from", "the address that sends it", InternetAddress.schema),
        Parameter("protocol", "`tcp` if left out", .oneOf(TransportProtocol.self)),
        Parameter(
            "uid", "user and group of the process that connects; 0 if left out",
            .integer(maximum: Int(UInt32.max))),
    ]
    public static let errors = Naming.errors
    public static var example: (parameters: Parameters, result: Result)? {
        let jump = Step(
            hook: "output", priority: -100, family: "ip", table: "nat", chain: "OUTPUT", rule: "rule 1, handle 5",
            verdict: "jump ISTIO_REDIRECT", decides: false)
        let redirect = Step(
            hook: "output", priority: -100, family: "ip", table: "nat", chain: "ISTIO_REDIRECT",
            rule: "rule 1, handle 3", verdict: "redirect to :15001", decides: true)
        let probe = Probe(
            direction: .outbound, family: "ip", protocol: .tcp, to: "192.0.2.1:80", from: "10.0.0.7", source: .trace,
            steps: [jump, redirect],
            ends: End(at: .sidecar, port: 15001, process: "envoy[4711]", isListening: true))
        let result = Result(netns: "web", inode: 4_026_546_047, probes: [probe], warnings: [])
        return (Parameters(netns: "web", to: "192.0.2.1:80"), result)
    }
    public static let combinations: [Schema] = [
        .any(
            of: [
                .object(nil, [.init("to", .null, required: false)]),
                .object(nil, [.init("from", .null, required: false)]),
                .object(nil, [.init("to", .string(pattern: "^[0-9]")), .init("from", .string(format: "ipv4"))]),
                .object(nil, [.init("to", .string(pattern: #"^\["#)), .init("from", .string(format: "ipv6"))]),
            ], "`from` and `to` are of the same family")
    ]
}

// MARK: the contract

extension ExplainMethod {
    public static let result = Schema.component(
        "ExplainResult",
        .object(
            nil,
            [
                .init("netns", .string("the namespace, as the caller named it")),
                .init("inode", .integer("the namespace's inode number")),
                .init("probes", .array(of: .component("Probe", .object("one first packet", probe)))),
                .init("warnings", BypassStatus.Warning.list()),
            ]))

    private static let probe: [Schema.Property] = [
        .init("direction", .oneOf(Direction.self)), .init("family", .string("`ip` or `ip6`")),
        .init("protocol", .oneOf(TransportProtocol.self)), .init("to", .string("address and port")),
        .init("from", .string("null if any address may be").orNull),
        .init("source", .oneOf(Source.self, "`trace`: of a packet, by the kernel; `rules`: evaluated by the daemon")),
        .init("steps", .array(of: stepSchema)),
        .init("ends", endSchema),
    ]

    static let endSchema = Schema.component(
        "End",
        .object(
            nil,
            [
                .init("at", .oneOf(End.Place.self)),
                .init("port", .integer(minimum: 1, maximum: Int(UInt16.max)).orNull),
                .init(
                    "process",
                    .string("what listens there: the process's name and number, as `envoy[4711]`; null: not known")
                        .orNull),
                .init("listening", .boolean("whether something listens there; null: not known").orNull),
            ]))

    static let stepSchema = Schema.component(
        "Step", .object("a rule that matches, or the end of a base chain", step))

    private static let step: [Schema.Property] = [
        .init("hook", .string()), .init("priority", .integer(minimum: Int(Int32.min), maximum: Int(Int32.max))),
        .init("family", .string("of the table")),
        .init("table", .string()), .init("chain", .string()),
        .init("rule", .string("its number and handle; null for the end of a base chain").orNull),
        .init("verdict", .string("in the words of `nft`")),
        .init("decides", .boolean("whether it decides where the packet ends")),
    ]
}

extension ExplainMethod.Result: JSONWritableObject {
    public func writeMembers(to text: inout JSONText) {
        text.member("netns", netns)
        text.member("inode", inode)
        text.member("probes", probes)
        text.member("warnings", warnings)
    }
}

extension ExplainMethod.Probe: JSONWritableObject {
    public func writeMembers(to text: inout JSONText) {
        text.member("direction", direction)
        text.member("family", family)
        text.member("protocol", `protocol`)
        text.member("to", to)
        text.member("from", from)
        text.member("source", source)
        text.member("steps", steps)
        text.member("ends", ends)
    }
}

extension ExplainMethod.Step: JSONWritableObject {
    public func writeMembers(to text: inout JSONText) {
        text.member("hook", hook)
        text.member("priority", priority)
        text.member("family", family)
        text.member("table", table)
        text.member("chain", chain)
        text.member("rule", rule)
        text.member("verdict", verdict)
        text.member("decides", decides)
    }
}

extension ExplainMethod.End: JSONWritableObject {
    public func writeMembers(to text: inout JSONText) {
        text.member("at", at)
        text.member("port", port)
        text.member("process", process)
        text.member("listening", isListening)
    }
}
