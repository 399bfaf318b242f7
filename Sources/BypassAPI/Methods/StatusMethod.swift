public import JSONRPC

/// `status(netns)`: the current bypass of one namespace.
public enum StatusMethod: RPCMethod {
    public struct Parameters: RPCParameters, Hashable {
        public var netns: String
        /// The namespace must have one of these IP addresses.
        public var expectAddresses: [String]?

        public init(netns: String, expectAddresses: [String]? = nil) {
            self.netns = netns
            self.expectAddresses = expectAddresses
        }

        public init(from bound: inout BoundParameters) throws(ErrorObject) {
            netns = try bound.required("netns")
            expectAddresses = try bound.optional("expectAddresses")
        }
    }

    public typealias Result = BypassStatus

    public static let name = "status"
    public static let summary = "Shows the bypass of one network namespace."
    public static let description = """
        As reported by the kernel: the daemon reads the rules of the namespace and the matcher's map.
        """
    public static let permission = Permission.read
    public static let parameters: ParameterTable = [
        Parameter("netns", Naming.summary, required: true, Naming.schema), Naming.expectedAddresses,
    ]
    public static let result = BypassStatus.schema
    public static let errors = Naming.errors
    public static var example: (parameters: Parameters, result: Result)? { (Parameters(netns: "web"), .example) }
}
