internal import BypassAPI
internal import JSONRPC
internal import Linux
internal import Logging
internal import NIOCore
internal import NIOPosix

/// The listening socket, and the connections that came of it.
final class Server: Sendable {
    private let router: Router
    private let limits: Limits
    private let connections: Connections
    private let logger: Logger

    /// How long answers to what was begun may take after the daemon is asked to end.
    private static let patience = TimeAmount.seconds(10)

    init(router: Router, limits: Limits, logger: Logger) {
        self.router = router
        self.limits = limits
        self.logger = logger
        connections = Connections(limits: limits)
    }

    /// Answers clients that connect to `listener`.
    func serve(_ listener: SharedDescriptor, on loops: MultiThreadedEventLoopGroup) async throws -> any Channel {
        try await ServerBootstrap(group: loops)
            .serverChannelOption(.backlog, value: 128)
            // A client that has said all it wants (`socat` at the end of its input) still gets its answers.
            .childChannelOption(.allowRemoteHalfClosure, value: true)
            .childChannelInitializer { self.welcome($0) }
            .withBoundSocket(listener.duplicate())
            .get()
    }

    /// Asks every connection to answer what was begun and to end, and waits until they have.
    func finish() async {
        connections.finish()
        await withTaskGroup(of: Void.self) { group in
            for channel in connections.all {
                group.addTask {
                    let deadline = channel.eventLoop.scheduleTask(in: Self.patience) { channel.close(promise: nil) }
                    try? await channel.closeFuture.get()
                    deadline.cancel()
                }
            }
        }
    }

    /// Who it is, whether there is room, and then the handler.
    private func welcome(_ channel: any Channel) -> EventLoopFuture<Void> {
        guard let options = channel as? any SocketOptionProvider else {
            return channel.eventLoop.makeFailedFuture(ChannelError.operationUnsupported)
        }
        let level = NIOBSDSocket.OptionLevel.socket
        // SO_PEERCRED: noted by the kernel at connect(2), so it is the client's, whatever it passes on later.
        let credentials: EventLoopFuture<PeerCredentials> = options.unsafeGetSocketOption(
            level: level, name: NIOBSDSocket.Option(rawValue: 17))
        return credentials.flatMapThrowing { caller in
            let refusal = self.connections.add(channel, user: caller.uid)
            if let refusal {
                self.logger.warning(
                    "connection refused", metadata: ["limit": "\(refusal.rawValue)", "uid": "\(caller.uid)"])
            } else {
                channel.closeFuture.whenComplete { _ in self.connections.remove(channel, user: caller.uid) }
            }
            let handler = ConnectionHandler(
                router: self.router, limits: self.limits, caller: caller, refusal: refusal)
            try channel.pipeline.syncOperations.addHandler(handler)
        }
    }
}
