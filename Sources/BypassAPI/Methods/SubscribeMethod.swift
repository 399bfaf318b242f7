/// `subscribe()`: has every change told on this connection from now on.
public enum SubscribeMethod: RPCMethod {
    public struct Parameters: Codable, Hashable, Sendable {
        /// Of an earlier subscription that is to be gone on with; with `sequence`.
        public var stream: String?
        /// The last event that was seen of it.
        public var sequence: Int?

        public init(stream: String? = nil, sequence: Int? = nil) {
            self.stream = stream
            self.sequence = sequence
        }
    }

    public struct Result: Codable, Hashable, Sendable {
        /// What numbers belong to: another daemon counts anew.
        public var stream: String
        /// The event before the first one that is told.
        public var sequence: Int
        /// What was bypassed after that event, by inode; nil if an earlier subscription is gone on with: its client knows.
        public var bypasses: [BypassStatus]?

        public init(stream: String, sequence: Int, bypasses: [BypassStatus]?) {
            self.stream = stream
            self.sequence = sequence
            self.bypasses = bypasses
        }
    }

    public static let name = "subscribe"
    public static let summary = "Has every change of a bypass told on this connection from now on."
    public static let description = """
        Changes come as notifications after the answer: \
        \(BypassEvent.Name.allCases.map { "`\($0.rawValue)` (\($0.meaning))" }.joined(separator: ", ")). \
        Their parameters are `sequence`, one more than in the notification before, and `bypass`, the object that `status` \
        gives. The answer holds what is bypassed, and the number after which that was so: nothing is missed in between. A \
        client that comes back gives `stream` and `sequence` of what it saw last, and is told what it missed; if that is \
        too long ago, or was another daemon's, it gets `bypasses` again. A subscriber that falls too far behind is told \
        so, with the limit `events`, and its connection is closed.
        """
    public static let permission = Permission.read
    public static let parameters = [
        Parameter("stream", "of the subscription to go on with", .string(length: 1...64)),
        Parameter("sequence", "with `stream` only: the last event that was seen", .integer(minimum: 0)),
    ]
    public static let result = Schema.object(
        nil,
        [
            .init("stream", .string("what the numbers belong to: another daemon counts anew")),
            .init("sequence", .integer("the event before the first one that is told")),
            .init(
                "bypasses",
                .array(of: .component(BypassStatus.name), "by inode; null if an earlier subscription goes on").orNull),
        ])
    public static let errors: [ErrorCode] = [.permissionDenied, .limitExceeded]
}
