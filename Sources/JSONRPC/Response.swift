public import StrictJSON

/// An answer, as a client reads it.
public struct Response: Sendable, Hashable {
    /// The id of the request; null in the answer to a request whose id the server could not read.
    public let id: RequestID
    public let outcome: Result<JSONValue, ErrorObject>

    public init(id: RequestID, outcome: Result<JSONValue, ErrorObject>) {
        self.id = id
        self.outcome = outcome
    }

    /// The fault of a line that is not a response.
    public enum ReadError: Error, Hashable {
        case notJSON(JSONReadError)
        /// The clause says what is wrong.
        case notResponse(String)
    }

    /// Reads the line of one response. Members beyond those of JSON-RPC are ignored.
    public static func read(
        _ line: Span<UInt8>, maximumDepth: Int = JSONReader.defaultDepth
    ) throws(ReadError) -> Response {
        let value: JSONValue
        do {
            value = try JSONReader.read(line, maximumDepth: maximumDepth)
        } catch {
            throw .notJSON(error)
        }
        return try Response(value)
    }

    /// The response that `value` is, such as one element of the answer to a batch.
    public init(_ value: JSONValue) throws(ReadError) {
        guard case .object(let object) = value else { throw .notResponse("a response must be an object") }
        guard let version = object["jsonrpc"]?.string, hasSameBytes(version, protocolVersion) else {
            throw .notResponse("jsonrpc must be \"\(protocolVersion)\"")
        }
        guard let id = object["id"].flatMap(RequestID.init) else {
            throw .notResponse("id must be a string, an integer or null")
        }
        self.id = id
        switch (object["result"], object["error"]) {
        case (let result?, nil): self.outcome = .success(result)
        case (nil, let error?):
            do {
                self.outcome = .failure(try JSONDecoding.decode(from: error, unknownMembers: .ignore))
            } catch {
                throw .notResponse("error: \(error)")
            }
        default: throw .notResponse("there must be either a result or an error")
        }
    }
}

extension Response.ReadError: CustomStringConvertible {
    public var description: String {
        switch self {
        case .notJSON(let error): error.description
        case .notResponse(let reason): reason
        }
    }
}
