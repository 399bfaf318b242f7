internal import JSONRPC
internal import StrictJSON
internal import Testbed

/// A client that has subscribed.
public struct Subscriber: Sendable {
    /// What happened, as it was told.
    public struct Event: Hashable, Sendable {
        public let name: String
        public let sequence: Int
        public let bypass: BypassAnswer
    }

    public let stream: String
    /// The event before the first one that is told.
    public let sequence: Int
    /// What was bypassed then; nil if an earlier subscription goes on.
    public let bypasses: [BypassAnswer]?
    private let connection: LineConnection

    /// - Parameter earlier: what is to be gone on with.
    init(_ socket: String, after earlier: (stream: String, sequence: Int)? = nil) async throws {
        connection = try LineConnection(socket)
        let params = earlier.map { #","params":["\#($0.stream)",\#($0.sequence)]"# } ?? ""
        try await connection.send(#"{"jsonrpc":"2.0","id":7,"method":"subscribe"\#(params)}"#)
        let line = try await connection.nextLine()
        let answer = try Response.read(line.utf8Span.span)
        let result = try Members(try answer.outcome.get())
        stream = try result.string("stream")
        sequence = try result.integer("sequence")
        bypasses = try result.value("bypasses") == .null ? nil : result.array("bypasses").map { try BypassAnswer($0) }
    }

    /// The next event; within two seconds.
    public func next() async throws -> Event {
        let line = try await connection.nextLine()
        let notification = try Members(JSONReader.read(line))
        guard !notification.has("id"), try notification.string("jsonrpc") == "2.0" else {
            throw NotByContract(description: "no notification: \(line)")
        }
        let params = try Members(notification.value("params"))
        return Event(
            name: try notification.string("method"), sequence: try params.integer("sequence"),
            bypass: try BypassAnswer(params.value("bypass")))
    }
}

extension Rig {
    public func subscribe(after earlier: (stream: String, sequence: Int)? = nil) async throws -> Subscriber {
        try await Subscriber(socket, after: earlier)
    }
}
