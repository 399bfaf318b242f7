internal import JSONRPC
internal import Linux
internal import MeshSandbox
internal import StrictJSON
internal import Synchronization

/// A client that has subscribed.
package struct Subscriber: Sendable {
    /// What was reported.
    package struct Event: Hashable, Sendable {
        package let name: String
        package let sequence: Int
        package let bypass: BypassAnswer
        /// The rules of other programs that went with it.
        package let removed: [String]
    }

    package let stream: String
    /// The event before the first one that is reported.
    package let sequence: Int
    /// What was bypassed then; nil if an earlier subscription goes on.
    package let bypasses: [BypassAnswer]?
    private let connection: LineConnection

    /// - Parameter earlier: the stream and the event after which to resume.
    init(_ socket: String, after earlier: (stream: String, sequence: Int)? = nil) async throws {
        connection = try LineConnection(socket)
        let params = earlier.map { #","params":["\#($0.stream)",\#($0.sequence)]"# } ?? ""
        try await connection.send(#"{"jsonrpc":"2.0","id":7,"method":"subscribe"\#(params)}"#)
        let answer = try Response.read(try await connection.nextLine().utf8Span.span)
        let result = try Members(try answer.outcome.get())
        stream = try result.string("stream")
        sequence = try result.integer("sequence")
        bypasses = try result.value("bypasses") == .null ? nil : result.array("bypasses").map { try BypassAnswer($0) }
    }

    /// The next event; within ten seconds.
    package func next() async throws -> Event {
        let line = try await connection.nextLine()
        let notification = try Members(JSONReader.read(line))
        guard !notification.has("id"), try notification.string("jsonrpc") == "2.0" else {
            throw ContractViolation(description: "no notification: \(line)")
        }
        let params = try Members(notification.value("params"))
        return Event(
            name: try notification.string("method"), sequence: try params.integer("sequence"),
            bypass: try BypassAnswer(params.value("bypass")),
            removed: try params.value("removed").array?.compactMap(\.string) ?? [])
    }
}

extension Rig {
    package func subscribe(after earlier: (stream: String, sequence: Int)? = nil) async throws -> Subscriber {
        try await Subscriber(socket, after: earlier)
    }
}

/// A connection to a Unix socket over which lines come without a request.
package final class LineConnection: Sendable {
    private let socket: BlockingSocket
    /// What was received after the last line that `nextLine` returned.
    private let rest = Mutex<[UInt8]>([])

    package init(_ path: String) throws {
        socket = try BlockingSocket(connectingTo: path)
    }

    package func send(_ line: String) async throws {
        try await Threads.run { try self.socket.send(line + "\n") }
    }

    /// The next line, without its end. One task at a time.
    ///
    /// - Throws: if none comes within ten seconds, or the connection has ended.
    package func nextLine() async throws -> String {
        try await Threads.run {
            while true {
                if let line = self.takeLine() { return line }
                let more = try self.socket.receive()
                self.rest.withLock { $0 += more }
            }
        }
    }

    private func takeLine() -> String? {
        rest.withLock { rest in
            guard let end = rest.firstIndex(of: UInt8(ascii: "\n")) else { return nil }
            defer { rest.removeFirst(end + 1) }
            return String(decoding: rest[..<end], as: UTF8.self)
        }
    }
}
