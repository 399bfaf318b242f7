/// `clear()`: ends every bypass, or every one of an owner's.
public enum ClearMethod: RPCMethod {
    public struct Parameters: Codable, Hashable, Sendable {
        /// Whose bypasses; nil for everybody's.
        public var owner: String?

        public init(owner: String? = nil) {
            self.owner = owner
        }
    }

    public struct Result: Codable, Hashable, Sendable {
        /// A namespace whose bypass has ended.
        public struct Cleared: Codable, Hashable, Sendable {
            /// As it was named when the bypass was turned on.
            public var netns: String
            public var inode: UInt64

            public init(netns: String, inode: UInt64) {
                self.netns = netns
                self.inode = inode
            }
        }

        /// A namespace that is still bypassed.
        public struct Failure: Codable, Hashable, Sendable {
            public var netns: String
            public var inode: UInt64
            public var message: String

            public init(netns: String, inode: UInt64, message: String) {
                self.netns = netns
                self.inode = inode
                self.message = message
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
    }

    public static let name = "clear"
    public static let summary = "Ends every bypass, or every one of an owner's."
    public static let description = """
        Each as `bypass(netns, "off")` would. One that cannot be ended keeps the others from nothing: it is in `failed`.
        """
    public static let permission = Permission.admin
    public static let parameters = [
        Parameter("owner", "whose bypasses; everybody's if left out", .string(length: 1...256))
    ]
    public static let result = Schema.object(
        nil,
        [
            .init("cleared", .array(of: .object(nil, namespace), "by inode")),
            .init(
                "failed",
                .array(
                    of: .object(nil, namespace + [.init("message", .string("why it is still bypassed"))]), "by inode")),
        ])
    public static let errors: [ErrorCode] = [.permissionDenied, .limitExceeded]

    private static let namespace: [Schema.Property] = [
        .init("netns", .string("the namespace, as it was named when the bypass was turned on")),
        .init("inode", .integer("the namespace's inode number")),
    ]
}
