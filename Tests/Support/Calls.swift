package import JSONRPC
internal import MeshSandbox
package import StrictJSON

/// What a test asks of the daemon, as any client does: a line over the socket.
extension Rig {
    /// - Throws: the daemon's `ErrorObject` if it refuses.
    package func call(_ method: String, _ params: JSONValue = [:]) async throws -> JSONValue {
        let params: Params? = params.array.map { .positional($0) } ?? params.object.map { .named($0) }
        let line = RequestWriter.line(of: Request(id: RequestID(7), method: method, params: params))
        let answer = try await daemon.call(String(decoding: line.dropLast(), as: UTF8.self))
        let response = try Response.read(answer.utf8Span.span)
        guard response.id == RequestID(7) else { throw ContractViolation(description: "another id in \(answer)") }
        return try response.outcome.get()
    }

    /// Turns the bypass on, of the pod if no other is named.
    @discardableResult
    package func on(
        _ netns: String? = nil, direction: String? = nil, ttl: Int? = nil, owner: String? = nil, reason: String? = nil,
        ifGeneration: Int? = nil, only: JSONValue? = nil, except: JSONValue? = nil
    ) async throws -> BypassAnswer {
        var members: [(String, JSONValue)] = [("netns", .string(netns ?? sandbox.pod)), ("state", "on")]
        if let direction { members.append(("direction", .string(direction))) }
        if let ttl { members.append(("ttl", .number(JSONNumber(ttl)))) }
        if let owner { members.append(("owner", .string(owner))) }
        if let reason { members.append(("reason", .string(reason))) }
        if let ifGeneration { members.append(("ifGeneration", .number(JSONNumber(ifGeneration)))) }
        if let only { members.append(("only", only)) }
        if let except { members.append(("except", except)) }
        return try BypassAnswer(try await call("bypass", .object(JSONObject(uniqueMembers: members))))
    }

    @discardableResult
    package func extend(_ netns: String? = nil, ttl: Int) async throws -> BypassAnswer {
        try BypassAnswer(try await call("extend", [.string(netns ?? sandbox.pod), .number(JSONNumber(ttl))]))
    }

    @discardableResult
    package func off(_ netns: String? = nil) async throws -> BypassAnswer {
        try BypassAnswer(try await call("bypass", [.string(netns ?? sandbox.pod), "off"]))
    }

    @discardableResult
    package func status(_ netns: String? = nil) async throws -> BypassAnswer {
        try BypassAnswer(try await call("status", [.string(netns ?? sandbox.pod)]))
    }

    package func list() async throws -> [BypassAnswer] {
        try Members(try await call("list")).array("bypasses").map { try BypassAnswer($0) }
    }

    /// The code and kind of the error that a call ends with; nil if it ends with a result.
    package func refusal(_ method: String, _ params: JSONValue) async throws -> Refusal? {
        do {
            _ = try await call(method, params)
            return nil
        } catch let error as ErrorObject {
            return Refusal(error)
        }
    }

    /// What the error that a call ends with says to people; nil if it ends with a result.
    package func message(_ method: String, _ params: JSONValue) async throws -> String? {
        do {
            _ = try await call(method, params)
            return nil
        } catch let error as ErrorObject {
            return error.message
        }
    }
}

/// What programs see of an error.
package struct Refusal: Hashable, Sendable, CustomStringConvertible {
    package let code: Int
    package let kind: String?
    package let limit: String?

    package init(code: Int, kind: String? = nil, limit: String? = nil) {
        self.code = code
        self.kind = kind
        self.limit = limit
    }

    package init(_ error: ErrorObject) {
        self.init(
            code: error.code, kind: error.data?.object?["kind"]?.string, limit: error.data?.object?["limit"]?.string)
    }

    package static let invalidParams = Refusal(code: -32602)
    package static let notFound = Refusal(code: -32002, kind: "netns-not-found")
    package static let notANetns = Refusal(code: -32003, kind: "not-a-netns")
    package static let conflict = Refusal(code: -32008, kind: "conflict")
    package static let mismatch = Refusal(code: -32009, kind: "netns-mismatch")
    package static let host = Refusal(code: -32004, kind: "host-netns-refused")

    package var description: String { [String(code), kind, limit].compactMap(\.self).joined(separator: " ") }
}
