internal import AsyncHTTPClient
internal import NIOCore
internal import NIOHTTP1
internal import NIOPosix
internal import NIOSSL
public import StrictJSON

/// Speaks to one API server. Any number of tasks may call it at the same time.
public final class APIClient: Sendable {
    /// How large an answer may be: a page of a hundred pods with long environments fits.
    static let answerLimit = 64 * 1024 * 1024
    /// Levels of arrays and objects; the `managedFields` of a pod have about twenty.
    static let depth = 100

    private let http: HTTPClient
    private let server: String
    private let agent: String
    private let tokens: TokenSource
    private let timeout: Duration
    private let observer: @Sendable (_ verb: String, _ outcome: String) -> Void

    /// - Parameters:
    ///   - agent: who is calling: the program and its version.
    ///   - timeout: for each request but a watch, from its beginning to the last byte of its answer.
    ///   - observer: told the verb of each request, and the code of its answer, or `error` if there was none.
    /// - Throws: ``AccessError`` if certificates or keys cannot be used.
    public init(
        _ access: ClusterAccess, agent: String, timeout: Duration = .seconds(30),
        observer: @escaping @Sendable (_ verb: String, _ outcome: String) -> Void = { _, _ in }
    ) throws(AccessError) {
        var configuration = HTTPClient.Configuration(
            tlsConfiguration: try access.tlsConfiguration(), redirectConfiguration: .disallow,
            timeout: .init(connect: .seconds(10), read: .seconds(WatchStream.longest + 60)))
        // When to try again is decided above, with a pause.
        configuration.connectionPool.retryConnectionEstablishment = false
        configuration.httpVersion = .http1Only
        configuration.http1_1ConnectionDebugInitializer = { $0.probePeer() }
        server = access.server(named: access.serverName, in: &configuration.dnsOverride)
        http = HTTPClient(eventLoopGroup: .singletonMultiThreadedEventLoopGroup, configuration: configuration)
        tokens = TokenSource(access.token)
        self.agent = agent
        self.timeout = timeout
        self.observer = observer
    }

    /// Ends all connections. To be called once, when no request is under way any more.
    public func shutdown() async {
        try? await http.shutdown()
    }

    /// Reads an object or a list.
    public func get(_ path: String, _ query: [(String, String)] = []) async throws(APIError) -> JSONValue {
        try await request(.GET, path, query)
    }

    /// Makes an object in a collection.
    public func create(_ object: JSONValue, in path: String) async throws(APIError) -> JSONValue {
        try await request(.POST, path, body: object, type: "application/json")
    }

    /// Changes an object by a merge patch (RFC 7386), and gives the object as it is then.
    public func patch(_ path: String, with changes: JSONValue) async throws(APIError) -> JSONValue {
        try await request(.PATCH, path, body: changes, type: "application/merge-patch+json")
    }

    private func request(
        _ method: HTTPMethod, _ path: String, _ query: [(String, String)] = [], body: JSONValue? = nil,
        type: String? = nil
    ) async throws(APIError) -> JSONValue {
        try await within(timeout) { () async throws(APIError) -> JSONValue in
            let response = try await self.send(method, path, query, body: body, type: type)
            let bytes = try await self.bytes(of: response)
            guard (200..<300).contains(response.status.code) else { throw .refused(APIStatus(response, bytes)) }
            return try Self.json(bytes)
        }
    }

    /// Begins an answer that comes in lines, without end.
    func stream(_ path: String, _ query: [(String, String)]) async throws(APIError) -> HTTPClientResponse {
        let response = try await send(.GET, path, query, verb: "WATCH")
        if response.status == .ok { return response }
        let bytes = try await within(timeout) { () async throws(APIError) in try await self.bytes(of: response) }
        throw .refused(APIStatus(response, bytes))
    }

    private func send(
        _ method: HTTPMethod, _ path: String, _ query: [(String, String)], body: JSONValue? = nil,
        type: String? = nil, verb: String? = nil
    ) async throws(APIError) -> HTTPClientResponse {
        while true {
            let token = try tokens.current()
            var request = HTTPClientRequest(url: server + path + Self.encoded(query))
            request.method = method
            request.headers.add(name: "User-Agent", value: agent)
            request.headers.add(name: "Accept", value: "application/json")
            if let token { request.headers.add(name: "Authorization", value: "Bearer \(token)") }
            if let body, let type {
                request.headers.add(name: "Content-Type", value: type)
                request.body = .bytes(ByteBuffer(bytes: JSONText.bytes(of: body)))
            }
            let response: HTTPClientResponse
            do {
                response = try await http.execute(request, timeout: TimeAmount(timeout))
            } catch {
                observer(verb ?? method.rawValue, "error")
                throw APIError(error)
            }
            observer(verb ?? method.rawValue, "\(response.status.code)")
            if response.status == .unauthorized, tokens.forget(token) { continue }
            return response
        }
    }

    private func bytes(of response: HTTPClientResponse) async throws(APIError) -> ByteBuffer {
        do {
            return try await response.body.collect(upTo: Self.answerLimit)
        } catch {
            throw APIError(error)
        }
    }

    private static func json(_ bytes: ByteBuffer) throws(APIError) -> JSONValue {
        try json(bytes.readableBytesUInt8Span)
    }

    static func json(_ bytes: Span<UInt8>) throws(APIError) -> JSONValue {
        do throws(JSONReadError) {
            return try JSONReader.read(bytes, maximumDepth: depth)
        } catch {
            throw .invalidAnswer(error.description)
        }
    }

    /// RFC 3986: all but the unreserved characters are escaped.
    private static func encoded(_ query: [(String, String)]) -> String {
        if query.isEmpty { return "" }
        return "?" + query.map { "\($0.0)=\(escaped($0.1))" }.joined(separator: "&")
    }

    private static func escaped(_ text: String) -> String {
        var result = ""
        for byte in text.utf8 {
            let isPlain =
                switch byte {
                case 0x30...0x39, 0x41...0x5a, 0x61...0x7a: true
                case UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "~"): true
                default: false
                }
            if isPlain {
                result.unicodeScalars.append(Unicode.Scalar(byte))
            } else {
                let digits = String(byte, radix: 16, uppercase: true)
                result += "%" + (digits.utf8.count == 1 ? "0" : "") + digits
            }
        }
        return result
    }
}

extension APIStatus {
    fileprivate init(_ response: HTTPClientResponse, _ bytes: ByteBuffer) {
        self.init(
            try? JSONReader.read(bytes.readableBytesUInt8Span, maximumDepth: APIClient.depth),
            code: Int(response.status.code))
        if message.isEmpty { message = response.status.reasonPhrase }
        // RFC 9110 has a date as well; the API server sends seconds.
        if retryAfter == nil { retryAfter = response.headers.first(name: "Retry-After").flatMap { Int($0) } }
    }
}
