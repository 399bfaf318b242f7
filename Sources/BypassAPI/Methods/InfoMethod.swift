public import StrictJSON

/// `info()`: the version of the daemon, its kernel and its matcher.
public enum InfoMethod: RPCMethod {
    public typealias Parameters = NoParameters

    public struct Result: Codable, JSONWritableObject, Hashable, Sendable {
        public struct Matcher: Codable, JSONWritableObject, Hashable, Sendable {
            /// The path that rules name.
            public var pin: String
            /// The program's tag, as `bpftool prog` prints it.
            public var tag: String

            public init(pin: String, tag: String) {
                self.pin = pin
                self.tag = tag
            }

            public func writeMembers(to text: inout JSONText) {
                text.member("pin", pin)
                text.member("tag", tag)
            }
        }

        public var name: String
        public var version: String
        /// Of the source that the daemon was built from; nil if it is not known. Earlier daemons leave it out.
        public var commit: String?
        /// The version of the wire contract.
        public var `protocol`: Int
        public var kernel: String
        public var uptimeSeconds: Int
        /// The number of bypassed namespaces.
        public var bypassed: Int
        public var matcher: Matcher

        public init(
            name: String = Product.name, version: String = Product.version, commit: String? = Product.commit,
            protocol: Int = Product.protocolVersion, kernel: String, uptimeSeconds: Int, bypassed: Int, matcher: Matcher
        ) {
            self.name = name
            self.version = version
            self.commit = commit
            self.protocol = `protocol`
            self.kernel = kernel
            self.uptimeSeconds = uptimeSeconds
            self.bypassed = bypassed
            self.matcher = matcher
        }

        public func writeMembers(to text: inout JSONText) {
            text.member("name", name)
            text.member("version", version)
            text.member("commit", commit)
            text.member("protocol", self.protocol)
            text.member("kernel", kernel)
            text.member("uptimeSeconds", uptimeSeconds)
            text.member("bypassed", bypassed)
            text.member("matcher", matcher)
        }

        /// The version with its commit, as `--version` prints it.
        package var fullVersion: String { Product.fullVersion(version, commit: commit) }
    }

    public static let name = "info"
    public static let summary = "Shows the name, versions, kernel and matcher of the daemon."
    public static let description = "Cheap: reads neither the kernel nor a namespace."
    public static let permission = Permission.read
    public static let parameters: ParameterTable = []
    public static let result = Schema.component(
        "InfoResult", .object(nil, properties))
    private static let properties: [Schema.Property] =
        [
            .init("name", .string()), .init("version", .string()),
            .init("commit", .string("of the source that the daemon was built from; null if it is not known").orNull),
            .init("protocol", .integer("the version of the wire contract")),
            .init("kernel", .string("as `uname -r` prints it")), .init("uptimeSeconds", .integer()),
            .init("bypassed", .integer("how many namespaces are bypassed")),
            .init(
                "matcher",
                .component(
                    "Matcher",
                    .object(
                        nil,
                        [
                            .init("pin", .string("the path that rules name")),
                            .init("tag", .string("as `bpftool prog` prints it")),
                        ]))),
        ]
    public static let errors: [ErrorCode] = [.permissionDenied, .limitExceeded]
    public static var example: (parameters: Parameters, result: Result)? {
        let matcher = Result.Matcher(pin: "/sys/fs/bpf/bypass", tag: "fa57cf8284a9bf31")
        let result = Result(
            version: Product.release, commit: "1f47f232", kernel: "6.12.57+deb13-amd64", uptimeSeconds: 408,
            bypassed: 1,
            matcher: matcher)
        return (Parameters(), result)
    }
}
