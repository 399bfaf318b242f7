internal import AsyncHTTPClient
internal import NIOCore
internal import NIOHTTP1
internal import NIOPosix
internal import NIOSSL
package import StrictJSON
internal import Synchronization

/// A client of one API server. Tasks may use it concurrently.
package final class APIClient: Sendable {
    /// The limit of a response in bytes: a page of a hundred pods with long environments fits.
    static let responseLimit = 64 * 1024 * 1024
    /// The limit of nested arrays and objects; the `managedFields` of a pod have about twenty levels.
    static let maximumDepth = 100

    private let connection: Mutex<Connection>
    private let userAgent: String
    private let timeout: Duration
    private let observer: @Sendable (_ verb: String, _ code: String) -> Void

    /// - Parameters:
    ///   - userAgent: the program and its version.
    ///   - timeout: of each request except a watch, until the last byte of the response.
    ///   - observer: is called with the verb of each request and the response's status code, or `error` without one.
    /// - Throws: ``AccessError`` if certificates or keys cannot be used.
    package init(
        _ access: ClusterAccess, userAgent: String, timeout: Duration = .seconds(30),
        observer: @escaping @Sendable (_ verb: String, _ code: String) -> Void = { _, _ in }
    ) throws(AccessError) {
        connection = Mutex(try Connection(access))
        self.userAgent = userAgent
        self.timeout = timeout
        self.observer = observer
    }

    /// The client that sends requests. It is replaced when the credentials or the CA have changed.
    private struct Connection {
        let access: ClusterAccess
        let http: HTTPClient
        let server: String
        let tokens: TokenSource

        init(_ access: ClusterAccess) throws(AccessError) {
            var configuration = HTTPClient.Configuration(
                tlsConfiguration: try access.tlsConfiguration(), redirectConfiguration: .disallow,
                timeout: .init(connect: .seconds(10), read: .seconds(WatchStream.maxSeconds + 60)))
            // Retries are the callers', with a backoff.
            configuration.connectionPool.retryConnectionEstablishment = false
            configuration.httpVersion = .http1Only
            configuration.http1_1ConnectionDebugInitializer = { $0.enableKeepalive() }
            self.access = access
            configuration.proxy = access.proxy.map(HTTPClient.Configuration.Proxy.init)
            server = access.server(named: access.serverName, in: &configuration.dnsOverride)
            http = HTTPClient(eventLoopGroup: .singletonMultiThreadedEventLoopGroup, configuration: configuration)
            tokens = TokenSource(access.token)
        }
    }

    /// A request failed in a way that other credentials, or another CA, may cure: reads them again.
    ///
    /// - Returns: whether they have changed, so that a retry may succeed.
    private func reload(after failed: Connection) async -> Bool {
        // Another request may have been first.
        if connection.withLock({ $0.http !== failed.http }) { return true }
        guard let access = try? await failed.access.reload?(), !access.isEquivalent(to: failed.access),
            let new = try? Connection(access)
        else { return false }
        let superseded = connection.withLock { current in
            guard current.http === failed.http else { return new }
            current = new
            return failed
        }
        // Its watches end, and start again with the new one.
        try? await superseded.http.shutdown()
        return true
    }

    /// Closes all connections. Must be called once, after the last request.
    package func shutdown() async {
        try? await connection.withLock(\.http).shutdown()
    }

    /// The side that waits if the server says when to try again (`Retry-After`).
    package enum Retrying: Sendable {
        /// The request itself.
        case here
        /// The caller, which tries again by a schedule of its own.
        case byCaller
    }

    /// As many as client-go's, for servers that say when to try again.
    private static let maxRetries = 10

    /// Gets an object or a list.
    package func get(
        _ path: String, _ query: [(String, String)] = [], retrying: Retrying = .here
    ) async throws(APIError) -> JSONValue {
        try await request(.GET, path, query, retrying: retrying)
    }

    /// Creates an object in a collection.
    package func create(_ object: JSONValue, in path: String) async throws(APIError) -> JSONValue {
        try await request(.POST, path, body: object, type: "application/json", retrying: .here)
    }

    /// Patches an object with a merge patch (RFC 7386).
    ///
    /// - Returns: the object after the patch.
    package func patch(
        _ path: String, with changes: JSONValue, retrying: Retrying = .here
    ) async throws(APIError) -> JSONValue {
        try await request(.PATCH, path, body: changes, type: "application/merge-patch+json", retrying: retrying)
    }

    private func request(
        _ method: HTTPMethod, _ path: String, _ query: [(String, String)] = [], body: JSONValue? = nil,
        type: String? = nil, retrying: Retrying
    ) async throws(APIError) -> JSONValue {
        var attempts = 0
        while true {
            do throws(APIError) {
                return try await attempt(method, path, query, body, type)
            } catch {
                guard retrying == .here, attempts < Self.maxRetries, let delay = error.retryAfter else { throw error }
                attempts += 1
                do {
                    try await Task.sleep(for: delay)
                } catch {
                    throw .cancelled
                }
            }
        }
    }

    private func attempt(
        _ method: HTTPMethod, _ path: String, _ query: [(String, String)], _ body: JSONValue?, _ type: String?
    ) async throws(APIError) -> JSONValue {
        try await withTimeout(timeout) { () async throws(APIError) -> JSONValue in
            let response = try await self.send(method, path, query, body: body, type: type)
            let bytes = try await self.bytes(of: response)
            guard (200..<300).contains(response.status.code) else { throw .refused(APIStatus(response, bytes)) }
            return try Self.json(bytes)
        }
    }

    /// Sends a watch request; the response's body is a stream of lines.
    func stream(_ path: String, _ query: [(String, String)]) async throws(APIError) -> HTTPClientResponse {
        let response = try await send(.GET, path, query, verb: "WATCH")
        if response.status == .ok { return response }
        let bytes = try await withTimeout(timeout) { () async throws(APIError) in try await self.bytes(of: response) }
        throw .refused(APIStatus(response, bytes))
    }

    private func send(
        _ method: HTTPMethod, _ path: String, _ query: [(String, String)], body: JSONValue? = nil,
        type: String? = nil, verb: String? = nil
    ) async throws(APIError) -> HTTPClientResponse {
        // Once: a login plugin may give another token each time, and the server accept none of them.
        var mayReload = true
        while true {
            let connection = connection.withLock(\.self)
            let token = try connection.tokens.current()
            var request = HTTPClientRequest(url: connection.server + path + Self.encoded(query))
            request.method = method
            request.headers.add(name: "User-Agent", value: userAgent)
            request.headers.add(name: "Accept", value: "application/json")
            if let token { request.headers.add(name: "Authorization", value: "Bearer \(token)") }
            if let body, let type {
                request.headers.add(name: "Content-Type", value: type)
                request.body = .bytes(ByteBuffer(bytes: JSONText.bytes(of: body)))
            }
            let response: HTTPClientResponse
            do {
                response = try await connection.http.execute(request, timeout: TimeAmount(timeout))
            } catch {
                observer(verb ?? method.rawValue, "error")
                let error = APIError(error)
                guard error != .cancelled, mayReload, await reload(after: connection) else { throw error }
                mayReload = false
                continue
            }
            observer(verb ?? method.rawValue, "\(response.status.code)")
            if response.status == .unauthorized {
                if connection.tokens.invalidate(token) { continue }
                if mayReload, await reload(after: connection) {
                    mayReload = false
                    continue
                }
            }
            return response
        }
    }

    private func bytes(of response: HTTPClientResponse) async throws(APIError) -> ByteBuffer {
        do {
            return try await response.body.collect(upTo: Self.responseLimit)
        } catch {
            throw APIError(error)
        }
    }

    private static func json(_ bytes: ByteBuffer) throws(APIError) -> JSONValue {
        try json(bytes.readableBytesUInt8Span)
    }

    static func json(_ bytes: Span<UInt8>) throws(APIError) -> JSONValue {
        do throws(JSONReadError) {
            return try JSONReader.read(bytes, maximumDepth: maximumDepth)
        } catch {
            throw .invalidAnswer(error.description)
        }
    }

    /// Escapes all but the unreserved characters of RFC 3986.
    private static func encoded(_ query: [(String, String)]) -> String {
        if query.isEmpty { return "" }
        return "?" + query.map { "\($0.0)=\(escaped($0.1))" }.joined(separator: "&")
    }

    private static func escaped(_ text: String) -> String {
        var result = ""
        for byte in text.utf8 {
            let isUnreserved =
                switch byte {
                case 0x30...0x39, 0x41...0x5a, 0x61...0x7a: true
                case UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "~"): true
                default: false
                }
            if isUnreserved {
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
            try? JSONReader.read(bytes.readableBytesUInt8Span, maximumDepth: APIClient.maximumDepth),
            code: Int(response.status.code))
        if message.isEmpty { message = response.status.reasonPhrase }
        if retryAfter == nil {
            retryAfter = response.headers.first(name: "Retry-After").flatMap { RetryAfter.seconds($0) }
        }
    }
}
