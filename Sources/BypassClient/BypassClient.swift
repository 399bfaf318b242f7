public import BypassAPI
internal import JSONRPC
internal import NIOCore
internal import NIOPosix
public import StrictJSON
internal import Synchronization

/// A connection to the daemon, for programs that turn bypasses on and off.
///
/// Any number of tasks may call its methods at the same time: requests are sent at once, and answers are matched to them.
/// The connection ends with ``close()``, or when the last reference to the client goes. Every later call fails: connect a
/// new client. The daemon keeps no state of a connection.
///
/// A call fails with a ``BypassClientError``. The daemon may still have executed a call that timed out or was cancelled:
/// ``status(netns:expectAddresses:)`` shows whether it has.
public final class BypassClient: Sendable {
    /// The most bytes of an answer: `list` with more than ten thousand namespaces fits.
    static let answerLimit = 16 * 1024 * 1024

    /// The path of the daemon's socket.
    public let path: String
    private let channel: any Channel
    private let multiplexer: NIOLoopBound<CallMultiplexer>
    private let timeout: Duration
    private let lastID = Atomic(0)

    private init(path: String, channel: any Channel, multiplexer: NIOLoopBound<CallMultiplexer>, timeout: Duration) {
        self.path = path
        self.channel = channel
        self.multiplexer = multiplexer
        self.timeout = timeout
    }

    deinit {
        channel.close(promise: nil)
    }

    /// Connects to the daemon.
    ///
    /// - Parameters:
    ///   - path: The path of its socket.
    ///   - timeout: How long each call waits for its answer.
    /// - Throws: ``BypassClientError/daemonNotRunning(path:)``, ``BypassClientError/accessDenied(path:)`` or
    ///   ``BypassClientError/connectFailed(path:reason:)``.
    public static func connect(
        to path: String = Product.socketPath, timeout: Duration = .seconds(30)
    ) async throws(BypassClientError) -> BypassClient {
        do {
            let (channel, multiplexer) = try await ClientBootstrap(group: .singletonMultiThreadedEventLoopGroup)
                .connect(unixDomainSocketPath: path) { channel in
                    channel.eventLoop.makeCompletedFuture {
                        let multiplexer = CallMultiplexer(answerLimit: answerLimit)
                        try channel.pipeline.syncOperations.addHandler(multiplexer)
                        return (channel, NIOLoopBound(multiplexer, eventLoop: channel.eventLoop))
                    }
                }
            return BypassClient(path: path, channel: channel, multiplexer: multiplexer, timeout: timeout)
        } catch {
            throw BypassClientError(connectingTo: path, error)
        }
    }

    /// Ends the connection. Calls that still wait fail with ``BypassClientError/connectionClosed``.
    public func close() async {
        // It fails only if the connection is closed already.
        try? await channel.close()
    }

    /// Waits for the next notification, on a connection that has subscribed.
    func nextNotification() async throws(BypassClientError) -> Notification {
        let (multiplexer, loop) = (multiplexer, channel.eventLoop)
        let cancel = { @Sendable in loop.execute { multiplexer.value.abandonNotification() } }
        return try await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                loop.execute { multiplexer.value.takeNotification(continuation) }
                // As in `call`.
                if Task.isCancelled { cancel() }
            }
        } onCancel: {
            cancel()
        }.get()
    }

    /// Calls `method` and returns its result as the daemon sent it.
    ///
    /// - Parameters:
    ///   - method: Its name, such as `status`.
    ///   - params: Its parameters by name; nil for none.
    /// - Throws: ``BypassClientError``, of which ``BypassClientError/refused(_:)`` is the daemon's own answer.
    public func call(method: String, params: JSONObject? = nil) async throws(BypassClientError) -> JSONValue {
        guard !Task.isCancelled else { throw .cancelled }
        let id = lastID.wrappingAdd(1, ordering: .relaxed).newValue
        let (multiplexer, loop, timeout) = (multiplexer, channel.eventLoop, TimeAmount(timeout))
        let cancel = { @Sendable in loop.execute { multiplexer.value.abandon(id, .cancelled) } }
        return try await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let request = Request(id: RequestID(id), method: method, params: params.map { .named($0) })
                loop.execute { multiplexer.value.send(request, id, timeout: timeout, continuation) }
                // A cancellation before this line has not found the call on the event loop.
                if Task.isCancelled { cancel() }
            }
        } onCancel: {
            cancel()
        }.get()
    }
}
