internal import AsyncHTTPClient
internal import NIOCore
internal import NIOHTTP1
internal import NIOPosix

/// The answer to a health check.
package struct HealthResponse: Sendable {
    package var isHealthy: Bool
    package var text: String
}

/// Serves `/healthz`, `/readyz` and `/metrics` on a port that by default only the node itself can reach.
struct HealthServer: Sendable {
    private let listener: any Channel

    /// Listens. Throws if the port is not available.
    ///
    /// - Parameter connectionTimeout: each connection is closed after this time. Otherwise a client could use up the
    ///   process's descriptors with connections that it never closes. A connection serves one request.
    init(
        host: String, port: Int, connectionTimeout: TimeAmount = .seconds(10),
        _ respond: @escaping @Sendable (_ path: String) async -> HealthResponse?
    ) async throws {
        listener = try await ServerBootstrap(group: .singletonMultiThreadedEventLoopGroup)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelOption(.allowRemoteHalfClosure, value: true)
            .childChannelInitializer { channel in
                let timeout = channel.eventLoop.scheduleTask(in: connectionTimeout) { channel.close(promise: nil) }
                channel.closeFuture.whenComplete { _ in timeout.cancel() }
                return channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.configureHTTPServerPipeline()
                    try channel.pipeline.syncOperations.addHandler(HealthHandler(respond))
                }
            }
            .bind(host: host, port: port).get()
    }

    var address: SocketAddress? { listener.localAddress }

    /// Serves until the task is cancelled. Requests in progress still get their responses.
    func run() async {
        await withTaskCancellationHandler {
            try? await listener.closeFuture.get()
        } onCancel: {
            listener.close(promise: nil)
        }
    }
}

/// A handler and not a `NIOAsyncChannel`: that traps when it is dropped without being executed, which happens to a connection
/// that is accepted while the server stops.
private final class HealthHandler: ChannelInboundHandler {
    typealias InboundIn = HTTPServerRequestPart

    private let respond: @Sendable (_ path: String) async -> HealthResponse?
    private var path = ""
    private var hasRequest = false

    init(_ respond: @escaping @Sendable (_ path: String) async -> HealthResponse?) {
        self.respond = respond
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head(let head): path = String(head.uri.prefix { $0 != "?" })
        case .body: break
        case .end:
            hasRequest = true
            let (channel, path, respond) = (context.channel, path, respond)
            Task { channel.writeAndClose(await respond(path)) }
        }
    }

    /// A client that half-closes after its request waits for the response (`socat` does); without a request it waits for
    /// nothing.
    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case .inputClosed? = event as? ChannelEvent, !hasRequest { context.close(promise: nil) }
    }
}

extension Channel {
    fileprivate func writeAndClose(_ response: HealthResponse?) {
        let bytes = ByteBuffer(string: response?.text ?? "no such page\n")
        let headers: HTTPHeaders = [
            "Content-Type": "text/plain; version=0.0.4; charset=utf-8",
            "Content-Length": "\(bytes.readableBytes)",
            "Connection": "close",
        ]
        let status: HTTPResponseStatus = response.map { $0.isHealthy ? .ok : .serviceUnavailable } ?? .notFound
        let head = HTTPResponseHead(version: .http1_1, status: status, headers: headers)
        write(HTTPServerResponsePart.head(head), promise: nil)
        write(HTTPServerResponsePart.body(.byteBuffer(bytes)), promise: nil)
        writeAndFlush(HTTPServerResponsePart.end(nil)).whenComplete { _ in self.close(promise: nil) }
    }
}

/// A client of the health server.
package enum HealthProbe {
    /// A controller that does not respond is unhealthy.
    package static func get(host: String, port: Int, _ path: String) async -> HealthResponse {
        let authority = host.contains(":") ? "[\(host)]" : host
        var configuration = HTTPClient.Configuration()
        // A refused connection fails at once, without retries.
        configuration.connectionPool.retryConnectionEstablishment = false
        do {
            return try await HTTPClient.withHTTPClient(configuration: configuration) { client in
                let request = HTTPClientRequest(url: "http://\(authority):\(port)\(path)")
                let response = try await client.execute(request, timeout: .seconds(5))
                let body = try await response.body.collect(upTo: 16 * 1024 * 1024)
                return HealthResponse(isHealthy: response.status == .ok, text: String(buffer: body))
            }
        } catch {
            return HealthResponse(
                isHealthy: false, text: "no controller answers on \(authority):\(port): \(error)\n")
        }
    }
}
