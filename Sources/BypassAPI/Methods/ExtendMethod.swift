/// `extend(netns, ttl)`: gives a bypass more time.
public enum ExtendMethod: RPCMethod {
    public struct Parameters: Codable, Hashable, Sendable {
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
    }

    public typealias Result = BypassMethod.Result

    public static let name = "extend"
    public static let summary = "Gives a bypass more time, and leaves all else about it as it is."
    public static let description = """
        The bypass ends `ttl` seconds from now, unless it was to last longer anyway: it never ends sooner by this. Where \
        nothing is bypassed, or the time was over already, this is a `conflict`.
        """
    public static let permission = Permission.bypass
    public static let parameters = [
        Parameter("netns", Naming.summary, required: true, Naming.schema),
        Parameter("ttl", "seconds from now", required: true, .integer(minimum: 1)),
        BypassMethod.generation,
    ]
    public static let result = BypassMethod.result
    public static let errors: [ErrorCode] = ErrorCode.allCases
}
