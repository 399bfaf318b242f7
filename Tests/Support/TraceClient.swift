internal import JSONRPC
internal import MeshSandbox
internal import StrictJSON

/// A client that traces a namespace, reading by the names of the contract and by nothing of the daemon's code.
package final class TraceClient: Sendable {
    /// A new connection.
    package struct Connection: Hashable, Sendable, CustomStringConvertible {
        package let direction: String
        package let family: String
        package let `protocol`: String
        package let from: String
        package let to: String
        /// Such as `sidecar 15001`, or `dropped`.
        package let end: String
        package let source: String
        /// Such as `nat ISTIO_REDIRECT: redirect to :15001`.
        package let rules: [String]

        package var description: String {
            "\(direction) \(family) \(self.protocol) \(from) -> \(to): \(end) by \(rules) (\(source))"
        }
    }

    package enum Event: Hashable, Sendable {
        case connection(Connection)
        case leftOut(Int)
        case ended(reason: String, connections: Int, leftOut: Int)
    }

    /// Codes of the answer's warnings.
    package let codes: [String]
    private let connection: LineConnection

    /// - Throws: the daemon's `ErrorObject` if it refuses.
    init(_ socket: String, _ netns: String, seconds: Int?, count: Int?) async throws {
        connection = try LineConnection(socket)
        let params = [
            "\"netns\":\"\(netns)\"", seconds.map { "\"seconds\":\($0)" }, count.map { "\"count\":\($0)" },
        ].compactMap(\.self).joined(separator: ",")
        try await connection.send(#"{"jsonrpc":"2.0","id":7,"method":"trace","params":{\#(params)}}"#)
        let answer = try Response.read(try await connection.nextLine().utf8Span.span)
        let result = try Members(try answer.outcome.get())
        _ = (try result.integer("inode"), try result.integer("seconds"), try result.integer("count"))
        codes = try result.array("warnings").map { try Members($0).string("code") }
    }

    /// The next event; within ten seconds.
    package func next() async throws -> Event {
        let notification = try Members(JSONReader.read(try await connection.nextLine()))
        let params = try Members(notification.value("params"))
        switch try notification.string("method") {
        case "connection": return .connection(try Self.connection(params))
        case "left-out": return .leftOut(try params.integer("connections"))
        case "trace-ended":
            return .ended(
                reason: try params.string("reason"), connections: try params.integer("connections"),
                leftOut: try params.integer("leftOut"))
        case let other: throw ContractViolation(description: "event \(other)")
        }
    }

    /// The next connection; within ten seconds.
    package func connect() async throws -> Connection {
        guard case .connection(let connection) = try await next() else {
            throw ContractViolation(description: "no connection")
        }
        return connection
    }

    /// Sends another request, and waits for its answer, which is the next line.
    package func request(_ line: String) async throws {
        try await connection.send(line)
        _ = try Response.read(try await connection.nextLine().utf8Span.span).outcome.get()
    }

    private static func connection(_ params: Members) throws -> Connection {
        _ = try params.string("time")
        let ends = try Members(try params.value("ends"))
        let port = try ends.value("port") == .null ? "" : " \(try ends.integer("port"))"
        let rules = try params.array("rules").map { value in
            let step = try Members(value)
            _ = (try step.integer("priority"), try step.string("family"), try step.optionalString("rule"))
            return "\(try step.string("table")) \(try step.string("chain")): \(try step.string("verdict"))"
        }
        return Connection(
            direction: try params.string("direction"), family: try params.string("family"),
            protocol: try params.string("protocol"), from: try params.string("from"), to: try params.string("to"),
            end: try ends.string("at") + port, source: try params.string("source"), rules: rules)
    }
}

extension Rig {
    /// Traces, the pod if no other is named, while `body` runs. Afterwards the client goes, and nothing of the trace is left.
    package func withTrace(
        _ netns: String? = nil, seconds: Int? = nil, count: Int? = nil, _ body: (TraceClient) async throws -> Void
    ) async throws {
        try await scoped {
            try await body(TraceClient(socket, netns ?? sandbox.pod, seconds: seconds, count: count))
        } cleanUp: {
            try await eventually("the table is gone") {
                try await !sandbox.run(["nft", "list", "tables"], in: .pod).contains("kmesh_bypass_trace")
            }
        }
    }
}
