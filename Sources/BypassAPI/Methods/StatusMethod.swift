/// `status(netns)`: the bypass of one namespace, as it is now.
public enum StatusMethod: RPCMethod {
    public struct Parameters: Codable, Hashable, Sendable {
        public var netns: String

        public init(netns: String) {
            self.netns = netns
        }
    }

    public typealias Result = BypassStatus

    public static let name = "status"
    public static let summary = "Tells the state of one network namespace."
    public static let description = """
        Looks at the namespace and the matcher's map: what is told is what the kernel holds, not what was asked for.
        """
    public static let permission = Permission.read
    public static let parameters = [Parameter("netns", Naming.summary, required: true, Naming.schema)]
    public static let result = Schema.component(BypassStatus.name)
    public static let errors: [ErrorCode] = ErrorCode.allCases
}

/// The `netns` parameter, which several methods have.
enum Naming {
    static let summary = "the network namespace: `web`, `/run/netns/web`, `/proc/4711/ns/net`, `pid:4711` or `pod:UID`"
    static let schema = Schema.string(length: 1...4095)
}
