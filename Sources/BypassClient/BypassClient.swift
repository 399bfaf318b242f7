public import BypassAPI
public import JSONRPC
internal import NIOCore
internal import NIOPosix
internal import Synchronization

/// A connection to the daemon, for programs that turn bypasses on and off.
///
/// Any number of tasks may call its methods at the same time: requests go out at once, and answers are matched to
/// them. The connection ends with ``close()``, or when nothing refers to the client any more. Once it has ended every
/// call fails, and a new client has to be made: the daemon keeps nothing of a connection.
///
/// A call fails with a ``BypassClientError``. One that was cancelled or timed out may have been carried out all the
/// same; where that matters, `status` tells.
public final class BypassClient: Sendable {
    /// How large an answer may be: `list` with more than ten thousand namespaces fits.
    static let answerLimit = 16 * 1024 * 1024

    /// Where the daemon listens.
    public let path: String
    private let channel: any Channel
    private let exchange: NIOLoopBound<Exchange>
    private let timeout: Duration
    private let lastID = Atomic(0)

    private init(path: String, channel: any Channel, exchange: NIOLoopBound<Exchange>, timeout: Duration) {
        self.path = path
        self.channel = channel
        self.exchange = exchange
        self.timeout = timeout
    }

    deinit {
        channel.close(promise: nil)
    }

    /// Connects to the daemon.
    ///
    /// - Parameters:
    ///   - path: Where it listens.
    ///   - timeout: How long each call waits for its answer.
    /// - Throws: ``BypassClientError/daemonNotRunning(path:)``, ``BypassClientError/accessDenied(path:)`` or
    ///   ``BypassClientError/connectFailed(path:reason:)``.
    public static func connect(
        to path: String = Product.socketPath, timeout: Duration = .seconds(30)
    ) async throws(BypassClientError) -> BypassClient {
        do {
            let (channel, exchange) = try await ClientBootstrap(group: .singletonMultiThreadedEventLoopGroup)
                .connect(unixDomainSocketPath: path) { channel in
                    channel.eventLoop.makeCompletedFuture {
                        let exchange = Exchange(answerLimit: answerLimit)
                        try channel.pipeline.syncOperations.addHandler(exchange)
                        return (channel, NIOLoopBound(exchange, eventLoop: channel.eventLoop))
                    }
                }
            return BypassClient(path: path, channel: channel, exchange: exchange, timeout: timeout)
        } catch {
            throw BypassClientError(connectingTo: path, error)
        }
    }

    /// Ends the connection. Calls that still wait fail with ``BypassClientError/connectionClosed``.
    public func close() async {
        // An error says that it is closed already.
        try? await channel.close()
    }

    /// Waits for what the daemon tells next without being asked, on a connection that has subscribed.
    func nextNotification() async throws(BypassClientError) -> Notification {
        let (exchange, loop) = (exchange, channel.eventLoop)
        let cancel = { @Sendable in loop.execute { exchange.value.abandonNotification() } }
        return try await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                loop.execute { exchange.value.takeNotification(continuation) }
                // As in `call`.
                if Task.isCancelled { cancel() }
            }
        } onCancel: {
            cancel()
        }.get()
    }

    /// Calls `method` and gives its result just as the daemon sent it.
    ///
    /// - Throws: ``BypassClientError``, of which ``BypassClientError/refused(_:)`` is the daemon's own answer.
    public func call(method: String, params: Params? = nil) async throws(BypassClientError) -> JSONValue {
        guard !Task.isCancelled else { throw .cancelled }
        let id = lastID.wrappingAdd(1, ordering: .relaxed).newValue
        let (exchange, loop, timeout) = (exchange, channel.eventLoop, TimeAmount(timeout))
        let cancel = { @Sendable in loop.execute { exchange.value.abandon(id, .cancelled) } }
        return try await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let request = Request(id: RequestID(id), method: method, params: params)
                loop.execute { exchange.value.send(request, id, timeout: timeout, continuation) }
                // A cancellation before this line came to the event loop too early to find the call.
                if Task.isCancelled { cancel() }
            }
        } onCancel: {
            cancel()
        }.get()
    }
}
