public import JSONRPC
public import StrictJSON

/// `trace(netns)`: streams each new connection of one namespace on this connection, for a while.
public enum TraceMethod: RPCMethod {
    public struct Parameters: RPCParameters, Hashable {
        public var netns: String
        public var seconds: Int?
        /// Of connections.
        public var count: Int?

        public init(netns: String, seconds: Int? = nil, count: Int? = nil) {
            self.netns = netns
            self.seconds = seconds
            self.count = count
        }

        public init(from bound: inout BoundParameters) throws(ErrorObject) {
            netns = try bound.required("netns")
            seconds = try bound.optional("seconds")
            count = try bound.optional("count")
        }
    }

    public struct Result: Codable, JSONWritableObject, Hashable, Sendable {
        /// The namespace as the caller named it.
        public var netns: String
        public var inode: UInt64
        /// When the trace ends by itself.
        public var seconds: Int
        public var count: Int
        public var warnings: [BypassStatus.Warning]

        public init(netns: String, inode: UInt64, seconds: Int, count: Int, warnings: [BypassStatus.Warning]) {
            self.netns = netns
            self.inode = inode
            self.seconds = seconds
            self.count = count
            self.warnings = warnings
        }

        public func writeMembers(to text: inout JSONText) {
            text.member("netns", netns)
            text.member("inode", inode)
            text.member("seconds", seconds)
            text.member("count", count)
            text.member("warnings", warnings)
        }
    }

    /// A trace without a time or a number of its own ends after these.
    public static let (usualSeconds, usualCount) = (60, 1000)
    /// A trace keeps the namespace alive: it does not run for long.
    public static let (maxSeconds, maxCount) = (600, 1_000_000)

    public static let name = "trace"
    public static let summary = "Streams each new connection of one network namespace on this connection, for a while."
    public static let description = """
        Connections come as notifications after the answer: `connection` for each new connection, with its direction, \
        addresses, where it ends and the rules that decide; `left-out` with the number of `connections` that are not \
        reported, at most once a second; and at the end `trace-ended` with its `reason`, and the numbers of \
        `connections` and `leftOut` of the whole trace. The daemon reports about 20 connections a second of each direction \
        and protocol. The trace ends after `seconds` or `count` connections, or with the client's connection. It needs \
        Linux 5.12; one namespace has one trace at a time. A second `trace` on the same connection replaces the first.
        """
    public static let permission = Permission.bypass
    public static let parameters: ParameterTable = [
        Parameter("netns", Naming.summary, required: true, Naming.schema),
        Parameter(
            "seconds", "ends the trace, \(usualSeconds) if left out", .integer(minimum: 1, maximum: maxSeconds)),
        Parameter(
            "count", "connections that end the trace, \(usualCount) if left out",
            .integer(minimum: 1, maximum: maxCount)),
    ]
    public static let result = Schema.component(
        "TraceResult",
        .object(
            nil,
            [
                .init("netns", .string("the namespace, as the caller named it")),
                .init("inode", .integer("the namespace's inode number")),
                .init("seconds", .integer("after which the trace ends")),
                .init("count", .integer("of connections after which the trace ends")),
                .init("warnings", BypassStatus.Warning.list()),
            ]))
    public static let errors: [ErrorCode] = ErrorCode.allCases
    public static var example: (parameters: Parameters, result: Result)? {
        (
            Parameters(netns: "web", seconds: 30),
            Result(netns: "web", inode: 4_026_546_047, seconds: 30, count: usualCount, warnings: [])
        )
    }
    public static let notifications = TraceEvent.Name.allCases.map {
        RPCNotification(name: $0.rawValue, summary: $0.meaning, schema: $0.schema)
    }
}
