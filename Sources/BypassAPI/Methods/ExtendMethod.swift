public import JSONRPC

/// `extend(netns, ttl)`: extends the time to live of a bypass.
public enum ExtendMethod: RPCMethod {
    public struct Parameters: RPCParameters, Hashable {
        public var netns: String
        /// Seconds from now.
        public var ttl: Int
        /// As of `bypass`.
        public var ifGeneration: Int?

        public init(netns: String, ttl: Int, ifGeneration: Int? = nil) {
            self.netns = netns
            self.ttl = ttl
            self.ifGeneration = ifGeneration
        }

        public init(from bound: inout BoundParameters) throws(ErrorObject) {
            netns = try bound.required("netns")
            ttl = try bound.required("ttl")
            ifGeneration = try bound.optional("ifGeneration")
        }
    }

    public typealias Result = BypassMethod.Result

    public static let name = "extend"
    public static let summary = "Extends the time to live of a bypass."
    public static let description = """
        The bypass expires `ttl` seconds from now. A bypass that lasts longer keeps its expiry. Fails with `conflict` \
        if nothing is bypassed, or if the bypass has expired. Everything else about the bypass stays.
        """
    public static let permission = Permission.bypass
    public static let parameters: ParameterTable = [
        Parameter("netns", Naming.summary, required: true, Naming.schema),
        Parameter("ttl", "seconds from now", required: true, TimeToLive.schema),
        BypassMethod.generation,
    ]
    public static let result = BypassMethod.result
    public static let errors: [ErrorCode] = ErrorCode.allCases
    public static var example: (parameters: Parameters, result: Result)? {
        (Parameters(netns: "web", ttl: 900), Result(status: .example, changed: true))
    }
}
