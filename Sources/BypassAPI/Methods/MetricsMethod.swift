public import StrictJSON

/// `metrics()`: the daemon's counters since its start.
public enum MetricsMethod: RPCMethod {
    public typealias Parameters = NoParameters

    public struct Result: Codable, JSONWritableObject, Hashable, Sendable {
        /// The value of the HTTP header.
        public var contentType: String
        public var text: String

        public init(contentType: String = "text/plain; version=0.0.4; charset=utf-8", text: String) {
            self.contentType = contentType
            self.text = text
        }

        public func writeMembers(to text: inout JSONText) {
            text.member("contentType", contentType)
            text.member("text", self.text)
        }
    }

    public static let name = "metrics"
    public static let summary = "Shows the daemon's metrics in Prometheus' text format."
    public static let description =
        "Since the daemon's start. `kmesh-bypassd --metrics-file` writes the same to a file."
    public static let permission = Permission.read
    public static let parameters: ParameterTable = []
    public static let result = Schema.component(
        "MetricsResult",
        .object(
            nil,
            [
                .init("contentType", .string("of `text`, as the HTTP header has it")),
                .init("text", .string("Prometheus' text exposition format")),
            ]))
    public static let errors: [ErrorCode] = [.permissionDenied, .limitExceeded]
    public static var example: (parameters: Parameters, result: Result)? {
        let name = "kmesh_bypass_bypassed_namespaces"
        let text = "# HELP \(name) Network namespaces that are bypassed now.\n# TYPE \(name) gauge\n\(name) 1\n"
        return (Parameters(), Result(text: text))
    }
}
