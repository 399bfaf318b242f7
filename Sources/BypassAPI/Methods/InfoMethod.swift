/// `info()`: what this daemon is, and on what it runs.
public enum InfoMethod: RPCMethod {
    public typealias Parameters = NoParameters

    public struct Result: Codable, Hashable, Sendable {
        public struct Matcher: Codable, Hashable, Sendable {
            /// The path that rules name.
            public var pin: String
            /// The program's tag, as `bpftool prog` prints it.
            public var tag: String

            public init(pin: String, tag: String) {
                self.pin = pin
                self.tag = tag
            }
        }

        public var name: String
        public var version: String
        /// The version of the wire contract.
        public var `protocol`: Int
        public var kernel: String
        public var uptimeSeconds: Int
        /// How many namespaces are bypassed.
        public var bypassed: Int
        public var matcher: Matcher

        public init(
            name: String = Product.name, version: String = Product.version, protocol: Int = Product.protocolVersion,
            kernel: String, uptimeSeconds: Int, bypassed: Int, matcher: Matcher
        ) {
            self.name = name
            self.version = version
            self.protocol = `protocol`
            self.kernel = kernel
            self.uptimeSeconds = uptimeSeconds
            self.bypassed = bypassed
            self.matcher = matcher
        }
    }

    public static let name = "info"
    public static let summary = "Tells name, versions, kernel and matcher of the daemon."
    public static let description = "Costs nothing: asks neither the kernel nor a namespace."
    public static let permission = Permission.read
    public static let parameters: [Parameter] = []
    public static let result = Schema.object(
        nil,
        [
            .init("name", .string()), .init("version", .string()),
            .init("protocol", .integer("the version of the wire contract")),
            .init("kernel", .string("as `uname -r` prints it")), .init("uptimeSeconds", .integer()),
            .init("bypassed", .integer("how many namespaces are bypassed")),
            .init(
                "matcher",
                .object(
                    nil,
                    [
                        .init("pin", .string("the path that rules name")),
                        .init("tag", .string("as `bpftool prog` prints it")),
                    ])),
        ])
    public static let errors: [ErrorCode] = [.permissionDenied, .limitExceeded]
}
