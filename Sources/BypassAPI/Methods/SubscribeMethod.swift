public import JSONRPC
public import StrictJSON

/// `subscribe()`: streams every change on this connection.
public enum SubscribeMethod: RPCMethod {
    public struct Parameters: RPCParameters, Hashable {
        /// The earlier subscription to resume; with `sequence`.
        public var stream: String?
        /// The last event received from it.
        public var sequence: Int?

        public init(stream: String? = nil, sequence: Int? = nil) {
            self.stream = stream
            self.sequence = sequence
        }

        public init(from bound: inout BoundParameters) throws(ErrorObject) {
            stream = try bound.optional("stream")
            sequence = try bound.optional("sequence")
        }
    }

    public struct Result: Codable, JSONWritableObject, Hashable, Sendable {
        /// The sequence numbers belong to this stream: another daemon starts again.
        public var stream: String
        /// The event before the first one that is sent.
        public var sequence: Int
        /// All that was bypassed after that event, by inode; nil if an earlier subscription is resumed: its client knows.
        public var bypasses: [BypassStatus]?
        /// `truncated` if these are not all; nil from a daemon that does not say.
        public var warnings: [BypassStatus.Warning]?

        public init(
            stream: String, sequence: Int, bypasses: [BypassStatus]?, warnings: [BypassStatus.Warning] = []
        ) {
            self.warnings = warnings
            self.stream = stream
            self.sequence = sequence
            self.bypasses = bypasses
        }

        public func writeMembers(to text: inout JSONText) {
            Self.writeMembers(stream, sequence, bypasses, warnings ?? [], to: &text)
        }

        /// - Parameter bypasses: an array of ``BypassStatus``, in whatever form it is kept; nil if there is none.
        package static func writeMembers(
            _ stream: String, _ sequence: Int, _ bypasses: (some JSONWritable)?, _ warnings: [BypassStatus.Warning],
            to text: inout JSONText
        ) {
            text.member("stream", stream)
            text.member("sequence", sequence)
            text.member("bypasses", bypasses)
            text.member("warnings", warnings)
        }
    }

    public static let name = "subscribe"
    public static let summary = "Streams every change of a bypass on this connection."
    public static let description = """
        Changes come as notifications after the answer: \
        \(BypassEvent.Name.allCases.map { "`\($0.rawValue)` (\($0.meaning))" }.joined(separator: ", ")). \
        Their parameters are `sequence`, one more than in the notification before, and `bypass`, the object that `status` \
        returns. The answer holds all that is bypassed, and the sequence number after which this was so: no change is \
        missed in between. A client that reconnects gives `stream` and `sequence` of the last event it received, and \
        gets the events that it missed; if the daemon no longer has them, or is another daemon, it gets `bypasses` \
        again. A subscriber that falls too far behind gets an error with the limit `events`, and its connection is closed.
        """
    public static let permission = Permission.read
    public static let parameters: ParameterTable = [
        Parameter("stream", "the stream of the subscription to resume", .string(length: 1...64)),
        Parameter("sequence", "with `stream` only: the last event received", .integer()),
    ]
    public static let result = Schema.component(
        "SubscribeResult",
        .object(
            nil,
            [
                .init("stream", .string("the sequence numbers belong to this stream: another daemon starts again")),
                .init("sequence", .integer("the event before the first one that is sent")),
                .init(
                    "bypasses",
                    .array(of: BypassStatus.schema, "by inode; null if an earlier subscription is resumed").orNull),
                .omittedBypasses,
            ]))
    public static let errors: [ErrorCode] = [.permissionDenied, .limitExceeded]
    public static let combinations: [Schema] = [
        .any(
            of: [
                .object(nil, [.init("stream", Schema(kind: .string)), .init("sequence", Schema(kind: .integer))]),
                .object(nil, ["stream", "sequence"].map { .init($0, .null, required: false) }),
            ], "`stream` and `sequence` go together")
    ]
    public static var example: (parameters: Parameters, result: Result)? {
        (Parameters(), Result(stream: "1w5mq3z8xk2e7", sequence: 4, bypasses: [.example]))
    }
    public static let notifications = BypassEvent.notifications
}
