internal import NIOCore
internal import NIOHTTP1
internal import NIOPosix

/// Answers `/healthz`, `/readyz` and `/metrics` on a port, by default one that only the node itself can reach.
struct HealthServer: Sendable {
    private let listener: any Channel

    /// Listens. Throws if the port cannot be had.
    ///
    /// - Parameter patience: a connection, which is for one request, is closed after that time: whoever can reach the port
    ///   can open as many as the process may have descriptors, and forget them.
    init(
        host: String, port: Int, patience: TimeAmount = .seconds(10),
        _ answer: @escaping @Sendable (_ path: String) async -> HealthAnswer?
    ) async throws {
        listener = try await ServerBootstrap(group: .singletonMultiThreadedEventLoopGroup)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelOption(.allowRemoteHalfClosure, value: true)
            .childChannelInitializer { channel in
                let end = channel.eventLoop.scheduleTask(in: patience) { channel.close(promise: nil) }
                channel.closeFuture.whenComplete { _ in end.cancel() }
                return channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.configureHTTPServerPipeline()
                    try channel.pipeline.syncOperations.addHandler(HealthHandler(answer))
                }
            }
            .bind(host: host, port: port).get()
    }

    /// Where it listens.
    var address: SocketAddress? { listener.localAddress }

    /// Serves until the task is cancelled. A request that is being answered then gets its answer.
    func run() async {
        await withTaskCancellationHandler {
            try? await listener.closeFuture.get()
        } onCancel: {
            listener.close(promise: nil)
        }
    }
}

/// A handler and not a `NIOAsyncChannel`: a connection may come while the server ends, and there would be nobody to end
/// that one in the way that it has to be, on pain of a trap.
private final class HealthHandler: ChannelInboundHandler {
    typealias InboundIn = HTTPServerRequestPart

    private let answer: @Sendable (_ path: String) async -> HealthAnswer?
    private var path = ""
    private var isAsked = false

    init(_ answer: @escaping @Sendable (_ path: String) async -> HealthAnswer?) {
        self.answer = answer
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head(let head): path = String(head.uri.prefix { $0 != "?" })
        case .body: break
        case .end:
            isAsked = true
            let (channel, path, answer) = (context.channel, path, answer)
            Task { channel.end(with: await answer(path)) }
        }
    }

    /// Who has said the last word may wait for an answer (`socat` does); who has asked nothing waits for none.
    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case .inputClosed? = event as? ChannelEvent, !isAsked { context.close(promise: nil) }
    }
}

extension Channel {
    /// The only answer on its connection: nobody asks often.
    fileprivate func end(with answer: HealthAnswer?) {
        let bytes = ByteBuffer(string: answer?.text ?? "no such page\n")
        let headers: HTTPHeaders = [
            "Content-Type": "text/plain; version=0.0.4; charset=utf-8",
            "Content-Length": "\(bytes.readableBytes)",
            "Connection": "close",
        ]
        let status: HTTPResponseStatus = answer.map { $0.isGood ? .ok : .serviceUnavailable } ?? .notFound
        let head = HTTPResponseHead(version: .http1_1, status: status, headers: headers)
        write(HTTPServerResponsePart.head(head), promise: nil)
        write(HTTPServerResponsePart.body(.byteBuffer(bytes)), promise: nil)
        writeAndFlush(HTTPServerResponsePart.end(nil)).whenComplete { _ in self.close(promise: nil) }
    }
}
