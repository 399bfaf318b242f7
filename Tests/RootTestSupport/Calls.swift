public import JSONRPC
public import StrictJSON
internal import Testbed

/// What a test asks of the daemon, as any client does: a line over the socket.
extension Rig {
    /// - Throws: the daemon's `ErrorObject` if it refuses.
    public func call(_ method: String, _ params: JSONValue = [:]) async throws -> JSONValue {
        let params: Params? = params.array.map { .positional($0) } ?? params.object.map { .named($0) }
        let line = RequestWriter.line(of: Request(id: RequestID(7), method: method, params: params))
        let answer = try await daemon.call(String(decoding: line.dropLast(), as: UTF8.self))
        let response = try Response.read(answer.utf8Span.span)
        guard response.id == RequestID(7) else { throw NotByContract(description: "another id in \(answer)") }
        return try response.outcome.get()
    }

    /// Turns the bypass on, of the pod if no other is named.
    @discardableResult
    public func on(
        _ netns: String? = nil, direction: String? = nil, ttl: Int? = nil, owner: String? = nil, reason: String? = nil,
        ifGeneration: Int? = nil
    ) async throws -> BypassAnswer {
        var members: [(String, JSONValue)] = [("netns", .string(netns ?? testbed.pod)), ("state", "on")]
        if let direction { members.append(("direction", .string(direction))) }
        if let ttl { members.append(("ttl", .number(JSONNumber(ttl)))) }
        if let owner { members.append(("owner", .string(owner))) }
        if let reason { members.append(("reason", .string(reason))) }
        if let ifGeneration { members.append(("ifGeneration", .number(JSONNumber(ifGeneration)))) }
        return try BypassAnswer(try await call("bypass", .object(JSONObject(uniqueMembers: members))))
    }

    @discardableResult
    public func extend(_ netns: String? = nil, ttl: Int) async throws -> BypassAnswer {
        try BypassAnswer(try await call("extend", [.string(netns ?? testbed.pod), .number(JSONNumber(ttl))]))
    }

    @discardableResult
    public func off(_ netns: String? = nil) async throws -> BypassAnswer {
        try BypassAnswer(try await call("bypass", [.string(netns ?? testbed.pod), "off"]))
    }

    @discardableResult
    public func status(_ netns: String? = nil) async throws -> BypassAnswer {
        try BypassAnswer(try await call("status", [.string(netns ?? testbed.pod)]))
    }

    public func list() async throws -> [BypassAnswer] {
        try Members(try await call("list")).array("bypasses").map { try BypassAnswer($0) }
    }

    /// The code and kind of the error that a call ends with; nil if it ends with a result.
    public func refusal(_ method: String, _ params: JSONValue) async throws -> Refusal? {
        do {
            _ = try await call(method, params)
            return nil
        } catch let error as ErrorObject {
            return Refusal(error)
        }
    }

    /// What the error that a call ends with says to people; nil if it ends with a result.
    public func message(_ method: String, _ params: JSONValue) async throws -> String? {
        do {
            _ = try await call(method, params)
            return nil
        } catch let error as ErrorObject {
            return error.message
        }
    }
}

/// What programs see of an error.
public struct Refusal: Hashable, Sendable, CustomStringConvertible {
    public let code: Int
    public let kind: String?
    public let limit: String?

    public init(code: Int, kind: String? = nil, limit: String? = nil) {
        self.code = code
        self.kind = kind
        self.limit = limit
    }

    public init(_ error: ErrorObject) {
        self.init(
            code: error.code, kind: error.data?.object?["kind"]?.string, limit: error.data?.object?["limit"]?.string)
    }

    public static let invalidParams = Refusal(code: -32602)
    public static let notFound = Refusal(code: -32002, kind: "netns-not-found")
    public static let notANetns = Refusal(code: -32003, kind: "not-a-netns")
    public static let conflict = Refusal(code: -32008, kind: "conflict")
    public static let mismatch = Refusal(code: -32009, kind: "netns-mismatch")
    public static let host = Refusal(code: -32004, kind: "host-netns-refused")

    public var description: String { [String(code), kind, limit].compactMap(\.self).joined(separator: " ") }
}
