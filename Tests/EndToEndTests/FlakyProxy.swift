import MeshSandbox
import NIOCore
import NIOPosix
import Synchronization
import TestSupport

/// Stands between clients and the daemon, and ends every connection at some byte of what the daemon sends.
final class FlakyProxy: Sendable {
    let path: String
    private let target: String
    private let random: Mutex<SplitMix>
    private let cutCount = Mutex(0)

    /// How many connections were ended in the middle.
    var cuts: Int { cutCount.withLock { $0 } }

    private init(_ path: String, _ target: String, seed: UInt64) {
        self.path = path
        self.target = target
        random = Mutex(SplitMix(seed: seed))
    }

    /// - Parameter seed: says where connections are cut.
    static func with(_ rig: Rig, seed: UInt64, _ body: (FlakyProxy) async throws -> Void) async throws {
        let proxy = FlakyProxy(rig.folder.path + "/proxy", rig.socket, seed: seed)
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        do {
            _ = try await ServerBootstrap(group: group)
                .childChannelInitializer { proxy.join($0) }
                .bind(unixDomainSocketPath: proxy.path).get()
            try await body(proxy)
        } catch {
            try? await group.shutdownGracefully()
            throw error
        }
        try await group.shutdownGracefully()
    }

    private func join(_ client: any Channel) -> EventLoopFuture<Void> {
        ClientBootstrap(group: client.eventLoop)
            .channelInitializer { daemon in
                daemon.eventLoop.makeCompletedFuture {
                    try daemon.pipeline.syncOperations.addHandler(Relay(to: client, cutAfter: self.nextLimit(), self))
                }
            }
            .connect(unixDomainSocketPath: target)
            .flatMapThrowing { daemon in
                try client.pipeline.syncOperations.addHandler(Relay(to: daemon, cutAfter: nil, self))
            }
    }

    private func nextLimit() -> Int { random.withLock { 1 + $0.next(below: 12_000) } }

    private final class Relay: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer

        private let other: any Channel
        private let proxy: FlakyProxy
        /// Bytes until the cut.
        private var left: Int?

        init(to other: any Channel, cutAfter left: Int?, _ proxy: FlakyProxy) {
            self.other = other
            self.proxy = proxy
            self.left = left
        }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            var bytes = unwrapInboundIn(data)
            guard let left else { return other.writeAndFlush(bytes, promise: nil) }
            if left == 0 { return }
            let passed = bytes.readSlice(length: min(left, bytes.readableBytes))
            self.left = left - (passed?.readableBytes ?? 0)
            if let passed { other.writeAndFlush(passed, promise: nil) }
            guard self.left == 0 else { return }
            proxy.cutCount.withLock { $0 += 1 }
            context.close(promise: nil)
        }

        func channelInactive(context: ChannelHandlerContext) {
            other.close(promise: nil)
            context.fireChannelInactive()
        }
    }
}
