import NIOCore
import NIOHTTP1
import NIOPosix
public import NIOSSL
import StrictJSON
import Synchronization

/// An API server for tests, with what a controller and `kubectl` need: discovery, objects, lists in pages, watches with
/// bookmarks, selectors, merge patches, and scripted faults. It can be stopped and started again, with its objects and on the
/// same port.
public final class APIServer: Sendable {
    /// One received request.
    public struct Request: Hashable, Sendable {
        public var verb: String
        public var path: String
        public var query: [String: String]
        public var token: String?
        var type: String?
        var body: JSONValue?

        public var isWatch: Bool { ["1", "true"].contains(query["watch"]) }
    }

    typealias Outbound = NIOAsyncChannelOutboundWriter<HTTPServerResponsePart>
    private typealias Connection = NIOAsyncChannel<HTTPServerRequestPart, HTTPServerResponsePart>

    let store = ObjectStore()
    let faults = FaultScript()
    /// Between two bookmarks of a watch, in milliseconds.
    public let bookmarkInterval: Int
    private let tokens = Mutex<Set<String>?>(nil)
    private let tls: Mutex<NIOSSLContext?>
    let authorization = Mutex(Authorization())
    private let log = Mutex<[Request]>([])
    /// The version of the last bookmark that was sent.
    let lastBookmark = Mutex(0)
    private let lastPort = Mutex(0)
    private let state = Mutex(State())

    private struct State {
        var listener: (any Channel)?
        var connections: [ObjectIdentifier: (channel: any Channel, task: Task<Void, Never>)] = [:]
    }

    public init(bookmarkInterval: Int = 60_000, tls: TLSConfiguration? = nil) throws {
        self.bookmarkInterval = bookmarkInterval
        self.tls = Mutex(try tls.map { try NIOSSLContext(configuration: $0) })
    }

    /// Has connections that are accepted from now on use another certificate.
    public func setCertificate(_ configuration: TLSConfiguration) throws {
        let context = try NIOSSLContext(configuration: configuration)
        tls.withLock { $0 = context }
    }

    /// Runs a server while `body` runs.
    public static func with<Result>(
        bookmarkInterval: Int = 60_000, tls: TLSConfiguration? = nil, _ body: (APIServer) async throws -> Result
    ) async throws -> Result {
        let server = try APIServer(bookmarkInterval: bookmarkInterval, tls: tls)
        try await server.start()
        do {
            let result = try await body(server)
            await server.stop()
            return result
        } catch {
            await server.stop()
            throw error
        }
    }

    /// Refuses requests without one of these tokens from now on.
    public func allow(_ tokens: Set<String>) { self.tokens.withLock { $0 = tokens } }

    public var port: Int { lastPort.withLock(\.self) }
    public var url: String { "\(tls.withLock(\.self) == nil ? "http" : "https")://127.0.0.1:\(port)" }

    /// Returns the requests that were received, and clears the list.
    public func takeRequests() -> [Request] {
        log.withLock { log in
            defer { log = [] }
            return log
        }
    }

    public var requests: [Request] { log.withLock(\.self) }

    public func start() async throws {
        let listener = try await ServerBootstrap(group: .singletonMultiThreadedEventLoopGroup)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    if let tls = self.tls.withLock(\.self) {
                        try channel.pipeline.syncOperations.addHandler(NIOSSLServerHandler(context: tls))
                    }
                    try channel.pipeline.syncOperations.configureHTTPServerPipeline()
                    self.begin(try Connection(wrappingChannelSynchronously: channel))
                }
            }
            .bind(host: "127.0.0.1", port: port).get()
        lastPort.withLock { $0 = listener.localAddress?.port ?? 0 }
        state.withLock { $0.listener = listener }
    }

    /// Closes every connection, and keeps the objects.
    public func stop() async {
        guard let listener = state.withLock({ $0.listener.take() }) else { return }
        try? await listener.close()
        for (channel, task) in state.withLock({ Array($0.connections.values) }) {
            try? await channel.close()
            await task.value
        }
    }

    /// Serves a connection as soon as it is accepted: NIO traps when a connection with an asynchronous writer is dropped, which
    /// would happen to connections that wait in a sequence when the server stops.
    private func begin(_ connection: Connection) {
        let id = ObjectIdentifier(connection.channel)
        let task = Task { () -> Void in try? await serve(connection) }
        state.withLock { $0.connections[id] = (connection.channel, task) }
        connection.channel.closeFuture.whenComplete { _ in
            self.state.withLock { _ = $0.connections.removeValue(forKey: id) }
            task.cancel()
        }
    }

    /// Closes every connection, and accepts new ones at once.
    public func restart() async throws {
        await stop()
        try await start()
    }

    private func serve(_ connection: Connection) async throws {
        try await connection.executeThenClose { inbound, outbound in
            var head: HTTPRequestHead?
            var body = ByteBuffer()
            for try await part in inbound {
                switch part {
                case .head(let new): (head, body) = (new, ByteBuffer())
                case .body(var bytes): body.writeBuffer(&bytes)
                case .end:
                    guard let head else { return }
                    try await answer(Request(head, body), outbound)
                }
            }
        }
    }

    private func answer(_ request: Request, _ outbound: Outbound) async throws {
        log.withLock { $0.append(request) }
        if let tokens = tokens.withLock(\.self), !tokens.contains(request.token ?? "") {
            return try await Response.status(401, "Unauthorized", "Unauthorized").write(to: outbound)
        }
        if let refusal = authorization.withLock({ $0.refusal(of: request) }) {
            return try await refusal.write(to: outbound)
        }
        switch faults.next(for: request) {
        case .status(let code, let reason, let message)?:
            return try await Response.status(code, reason, message).write(to: outbound)
        case .statusWithRetry(let code, let seconds)?:
            let status = Response.object(code, "TooManyRequests", "come again later")
            let details: JSONValue = ["retryAfterSeconds": .number(JSONNumber(seconds))]
            var response = Response(code, status.setting("details", details))
            response.retryAfter = "\(seconds)"
            return try await response.write(to: outbound)
        case .proxy(let code, let retryAfter)?:
            var response = Response(code, "<html><body>too busy</body></html>")
            response.retryAfter = retryAfter
            return try await response.write(to: outbound)
        case .silence?: try await Task.sleep(for: .seconds(3600))
        case .delay(let milliseconds)?: try await Task.sleep(for: .milliseconds(milliseconds))
        case .drop?: throw FaultScript.CutOff()
        case .answer(let value)?: return try await Response(200, value).write(to: outbound)
        case .garbage?: return try await Response(200, "<html>not what you think</html>").write(to: outbound)
        case .inWatch(let fault)? where request.isWatch: return try await watch(request, outbound, fault)
        case .inWatch?, nil: break
        }
        if request.isWatch { return try await watch(request, outbound, nil) }
        let denied = try await denial(of: request)
        try await (denied ?? respond(to: request)).write(to: outbound)
    }
}

extension APIServer.Request {
    init(_ head: HTTPRequestHead, _ bytes: ByteBuffer) {
        let parts = head.uri.split(separator: "?", maxSplits: 1)
        verb = head.method.rawValue
        path = String(parts.first ?? "/")
        query = [:]
        for pair in parts.dropFirst().first?.split(separator: "&") ?? [] {
            let sides = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            query[Self.unescaped(sides[0])] = sides.count > 1 ? Self.unescaped(sides[1]) : ""
        }
        token = head.headers.first(name: "Authorization").map { String($0.dropFirst("Bearer ".count)) }
        type = head.headers.first(name: "Content-Type")
        body = bytes.readableBytes == 0 ? nil : try? JSONReader.read(bytes.readableBytesUInt8Span, maximumDepth: 100)
    }

    private static func unescaped(_ text: Substring) -> String {
        var bytes: [UInt8] = []
        var rest = text.utf8[...]
        while let byte = rest.popFirst() {
            if byte == UInt8(ascii: "%"), let value = UInt8(String(Substring(rest.prefix(2))), radix: 16) {
                bytes.append(value)
                rest = rest.dropFirst(2)
            } else {
                bytes.append(byte == UInt8(ascii: "+") ? UInt8(ascii: " ") : byte)
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}
