public import NIOCore

/// What a client said in one line.
public enum Incoming: Sendable, Hashable {
    /// A request, or a line that is to be refused as a whole.
    case single(Entry)
    /// The entries of a batch, never none, to be answered in one array.
    case batch([Entry])

    public enum Entry: Sendable, Hashable {
        case request(Request)
        case rejection(Rejection)
    }

    /// The bounds of what is taken in a line; its length is bounded by ``LineFramer``.
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

    /// Reads a line. Nothing in it can make this fail: what is wrong with it is told as rejections to answer with.
    public static func read(_ line: ByteBuffer, limits: Limits = Limits()) -> Incoming {
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
