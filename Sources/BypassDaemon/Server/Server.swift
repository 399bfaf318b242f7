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

    init(router: Router, limits: Limits, counted: DaemonMetrics, logger: Logger) {
        self.router = router
        self.limits = limits
        self.logger = logger
        connections = Connections(limits: limits, counted: counted, logger: logger)
    }

    /// Answers clients, until the listener is told to stop. Waits on the calling thread, which is nobody else's.
    func serve(_ listener: UnixListener, on loops: MultiThreadedEventLoopGroup) {
        while true {
            do throws(SystemCallError) {
                guard let connection = try listener.accept() else { return }
                welcome(connection, on: loops)
            } catch {
                logger.error("a client cannot be answered", metadata: ["error": "\(error)"])
            }
        }
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
    private func welcome(_ connection: consuming AcceptedConnection, on loops: MultiThreadedEventLoopGroup) {
        let loop = loops.next()
        let (seat, finish) = connections.admit(user: connection.credentials.uid, on: loop)
        // Nobody takes its time for one of very many that are refused.
        if let finish, let limit = finish.limit, !finish.lingers {
            return connection.close(sending: RequestLine.telling(limit, limits))
        }
        // Of one that is refused it does not matter what process it is.
        let peer = Peer(connection.credentials, finish == nil ? connection.process : nil)
        ClientBootstrap(group: loop)
            // A client that has said all it wants (`socat` at the end of its input) still gets its answers.
            .channelOption(.allowRemoteHalfClosure, value: true)
            // A client that sends much gets one read at a time, and then others do.
            .channelOption(.maxMessagesPerRead, value: 1)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    let finish = self.connections.open(seat, channel) ?? finish
                    try channel.pipeline.syncOperations.addHandler(
                        ConnectionHandler(
                            router: self.router, limits: self.limits, peer: peer, seat: seat,
                            connections: self.connections, finish: finish))
                }
            }
            .withConnectedSocket(connection.releaseSocket())
            .whenFailure { _ in self.connections.remove(seat) }
        // Here nobody waits for it, and the process has hardly had the time to end.
        peer.look()
    }
}
