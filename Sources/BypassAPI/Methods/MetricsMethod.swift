/// `metrics()`: what the daemon has counted since it started.
public enum MetricsMethod: RPCMethod {
    public typealias Parameters = NoParameters

    public struct Result: Codable, Hashable, Sendable {
        /// As HTTP would have it.
        public var contentType: String
        public var text: String

        public init(contentType: String = "text/plain; version=0.0.4; charset=utf-8", text: String) {
            self.contentType = contentType
            self.text = text
        }
    }

    public static let name = "metrics"
    public static let summary = "Tells what the daemon has counted, in Prometheus' text format."
    public static let description =
        "Since the daemon's start. `kmesh-bypassd --metrics-file` writes the same to a file."
    public static let permission = Permission.read
    public static let parameters: [Parameter] = []
    public static let result = Schema.object(
        nil,
        [
            .init("contentType", .string("of `text`, as HTTP would have it")),
            .init("text", .string("Prometheus' text exposition format")),
        ])
    public static let errors: [ErrorCode] = [.permissionDenied, .limitExceeded]
}
