public import StrictJSON

/// The `error` of a response. Methods throw it to fail with a code of their own.
public struct ErrorObject: Error, Sendable, Hashable {
    public let code: Int
    /// One sentence for people.
    public let message: String
    /// More for programs; nil leaves the member out.
    public let data: JSONValue?

    public init(code: Int, message: String, data: JSONValue? = nil) {
        self.code = code
        self.message = message
        self.data = data
    }
}

/// The errors of JSON-RPC 2.0 itself, with the meaning and the message its section 5.1 gives them.
extension ErrorObject {
    /// The line is not JSON.
    public static let parseError = ErrorObject(code: -32700, message: "Parse error")
    /// The JSON is not a request.
    public static let invalidRequest = ErrorObject(code: -32600, message: "Invalid Request")
    /// There is no such method.
    public static let methodNotFound = ErrorObject(code: -32601, message: "Method not found")
    /// The method does not take these parameters.
    public static let invalidParams = ErrorObject(code: -32602, message: "Invalid params")
    /// The server failed.
    public static let internalError = ErrorObject(code: -32603, message: "Internal error")

    /// The same error, its message continued by `detail`.
    public func detailed(_ detail: String, data: JSONValue? = nil) -> ErrorObject {
        ErrorObject(code: code, message: "\(message): \(detail)", data: data ?? self.data)
    }
}

extension ErrorObject: Codable, JSONWritableObject {
    private enum CodingKeys: CodingKey {
        case code, message, data
    }

    public func writeMembers(to text: inout JSONText) {
        text.member("code", code)
        text.member("message", message)
        if let data { text.member("data", data) }
    }

    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        self.code = try container.decode(Int.self, forKey: .code)
        self.message = try container.decode(String.self, forKey: .message)
        self.data = container.contains(.data) ? try container.decode(JSONValue.self, forKey: .data) : nil
    }
}
