public import StrictJSON

/// One line of a client.
public enum Incoming: Sendable, Hashable {
    /// A request, or a line that is refused as a whole.
    case single(Entry)
    /// The entries of a batch, never none, to be answered in one array.
    case batch([Entry])

    public enum Entry: Sendable, Hashable {
        case request(Request)
        case rejection(Rejection)

        /// The id that its answer carries; nil for a notification, which gets none.
        public var id: RequestID? {
            switch self {
            case .request(let request): request.id
            case .rejection(let rejection): rejection.id
            }
        }
    }

    /// The bounds of a line besides its length, which ``LineFramer`` bounds.
    public struct Limits: Sendable, Hashable {
        /// The levels of arrays and objects, those of the batch and the request included.
        public var depth: Int
        /// The entries of a batch.
        public var batch: Int

        public init(depth: Int = JSONReader.defaultDepth, batch: Int = 64) {
            self.depth = depth
            self.batch = batch
        }
    }

    /// Reads a line. This cannot fail: a fault of the line becomes a rejection to answer with.
    public static func read(_ line: ArraySlice<UInt8>, limits: Limits = Limits()) -> Incoming {
        read(line.span, limits: limits)
    }

    /// The same of a line that is only borrowed.
    public static func read(_ line: Span<UInt8>, limits: Limits = Limits()) -> Incoming {
        let value: JSONValue
        do {
            value = try JSONReader.read(line, maximumDepth: limits.depth)
        } catch {
            return rejection(Rejection.Reason(error))
        }
        guard case .array(let values) = value else { return .single(entry(value)) }
        guard !values.isEmpty else { return rejection(.invalidRequest("the batch is empty")) }
        guard values.count <= limits.batch else { return rejection(.limitExceeded(.batch, allowed: limits.batch)) }
        return .batch(values.map(entry))
    }

    private static func rejection(_ reason: Rejection.Reason) -> Incoming {
        .single(.rejection(Rejection(id: .null, reason: reason)))
    }

    /// One request of a line. Members beyond those of JSON-RPC are ignored.
    private static func entry(_ value: JSONValue) -> Entry {
        guard case .object(let object) = value else {
            return .rejection(Rejection(id: .null, reason: .invalidRequest("a request must be an object")))
        }
        let given = object["id"]
        let id = given.flatMap(RequestID.init)
        func rejection(_ reason: String) -> Entry {
            .rejection(Rejection(id: id ?? .null, reason: .invalidRequest(reason)))
        }
        guard given == nil || id != nil else { return rejection("id must be a string, an integer or null") }
        guard let version = object["jsonrpc"]?.string, hasSameBytes(version, protocolVersion) else {
            return rejection("jsonrpc must be \"\(protocolVersion)\"")
        }
        guard let method = object["method"]?.string else { return rejection("method must be a string") }
        switch object["params"] {
        case nil: return .request(Request(id: id, method: method))
        case .array(let values): return .request(Request(id: id, method: method, params: .positional(values)))
        case .object(let members): return .request(Request(id: id, method: method, params: .named(members)))
        default: return rejection("params must be an array or an object")
        }
    }
}

/// The `jsonrpc` member of every message.
let protocolVersion = "2.0"
