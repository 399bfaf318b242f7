public import JSONRPC
public import StrictJSON

/// `clear()`: ends every bypass, or every bypass of one owner.
public enum ClearMethod: RPCMethod {
    public struct Parameters: RPCParameters, Hashable {
        /// End the bypasses of this owner only; nil for every bypass.
        public var owner: String?

        public init(owner: String? = nil) {
            self.owner = owner
        }

        public init(from bound: inout BoundParameters) throws(ErrorObject) {
            owner = try bound.optional("owner")
        }
    }

    public struct Result: Codable, JSONWritableObject, Hashable, Sendable {
        /// A namespace whose bypass has ended.
        public struct Cleared: Codable, JSONWritableObject, Hashable, Sendable {
            /// The name that was given when the bypass was turned on.
            public var netns: String
            public var inode: UInt64

            public init(netns: String, inode: UInt64) {
                self.netns = netns
                self.inode = inode
            }

            public func writeMembers(to text: inout JSONText) {
                text.member("netns", netns)
                text.member("inode", inode)
            }
        }

        /// A namespace that is still bypassed.
        public struct Failure: Codable, JSONWritableObject, Hashable, Sendable {
            public var netns: String
            public var inode: UInt64
            public var message: String

            public init(netns: String, inode: UInt64, message: String) {
                self.netns = netns
                self.inode = inode
                self.message = message
            }

            public func writeMembers(to text: inout JSONText) {
                text.member("netns", netns)
                text.member("inode", inode)
                text.member("message", message)
            }
        }

        /// By inode.
        public var cleared: [Cleared]
        /// By inode.
        public var failed: [Failure]

        public init(cleared: [Cleared], failed: [Failure]) {
            self.cleared = cleared
            self.failed = failed
        }

        public func writeMembers(to text: inout JSONText) {
            text.member("cleared", cleared)
            text.member("failed", failed)
        }
    }

    public static let name = "clear"
    public static let summary = "Ends every bypass, or every bypass of one owner."
    public static let description = """
        As `bypass(netns, "off")` does for each. A failure does not stop the rest: it is reported in `failed`.
        """
    public static let permission = Permission.admin
    public static let parameters: ParameterTable = [
        Parameter("owner", "end the bypasses of this owner only; every bypass if left out", .string(length: 1...256))
    ]
    public static let result = Schema.component(
        "ClearResult",
        .object(
            nil,
            [
                .init(
                    "cleared",
                    .array(
                        of: .component("ClearedBypass", .object("a bypass that has ended", namespace)), "by inode")),
                .init(
                    "failed",
                    .array(
                        of: .component(
                            "ClearFailure",
                            .object(
                                "a namespace that is still bypassed",
                                namespace + [.init("message", .string("why it is still bypassed"))])), "by inode")),
            ]))
    public static let errors: [ErrorCode] = [.permissionDenied, .limitExceeded]
    public static var example: (parameters: Parameters, result: Result)? {
        (Parameters(owner: "alice"), Result(cleared: [.init(netns: "web", inode: 4_026_546_047)], failed: []))
    }

    private static let namespace: [Schema.Property] = [
        .init("netns", .string("the name that was given when the bypass was turned on")),
        .init("inode", .integer("the namespace's inode number")),
    ]
}
