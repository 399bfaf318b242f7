internal import Bypass
public import BypassAPI
internal import Linux
public import Logging
internal import Matcher
internal import NIOCore
internal import NIOPosix
public import ServiceLifecycle

/// The daemon: a socket, a router, and the engine behind them. A `Service`, so that whoever runs it decides about
/// signals.
public final class Daemon: Service {
    public struct Configuration: Sendable {
        public var socket = Product.socketPath
        /// Who, besides root, may connect.
        public var socketGroup = "kmesh"
        public var bpffs = "/sys/fs/bpf"
        public var stateFolder = "/run/kmesh/state"
        public var limits = Limits()

        public init() {}
    }

    private let configuration: Configuration
    private let logger: Logger
    private let listener: UnixListener
    private let lock: OwnedDescriptor
    private let matcher: Matcher
    private let registry: Registry

    /// Namespaces that are worked on side by side. More than processors, since kernel work can wait (for a grace
    /// period, for a lock).
    private static let engineThreads = 4

    /// Takes the socket and sets up the matcher. From here on clients can connect; `run` answers them.
    public init(_ configuration: Configuration, logger: Logger) throws(StartError) {
        self.configuration = configuration
        self.logger = logger
        try Startup.checkCapabilities()
        listener = try Startup.listen(configuration)
        do throws(StartError) {
            lock = try Startup.claim(configuration.bpffs)
            matcher = try Startup.loadMatcher(configuration.bpffs)
            registry = try Startup.openRegistry(configuration.stateFolder)
        } catch {
            try? Files.remove(configuration.socket)
            throw error
        }
    }

    /// Answers clients until it is asked to end; then answers what was begun, and leaves every bypass as it is.
    public func run() async throws {
        let startedAt = Clock.boottime
        let loops = MultiThreadedEventLoopGroup(numberOfThreads: min(2, System.coreCount))
        let background = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let threads = NIOThreadPool(numberOfThreads: Self.engineThreads)
        threads.start()
        let engine = Engine(
            matcher: matcher, registry: registry, threads: threads, background: background.next(), logger: logger)
        engine.adopt()
        let router = Router(engine, startedAt: startedAt, kernel: Startup.kernelRelease())
        let server = Server(router: router, limits: configuration.limits, logger: logger)
        let acceptor = NIOThreadPool(numberOfThreads: 1)
        acceptor.start()
        logger.notice(
            "ready",
            metadata: [
                "socket": "\(configuration.socket)", "pin": "\(matcher.pin)", "tag": "\(matcher.tag)",
                "bypassed": "\(registry.count)",
            ])
        try await withGracefulShutdownHandler {
            try await acceptor.runIfActive { [listener] in server.serve(listener, on: loops) }
        } onGracefulShutdown: { [listener] in
            listener.stop()
        }
        await server.finish()
        try? Files.remove(configuration.socket)
        try await acceptor.shutdownGracefully()
        try await loops.shutdownGracefully()
        try await threads.shutdownGracefully()
        try await background.shutdownGracefully()
        logger.notice("ended", metadata: ["bypassed": "\(registry.count)"])
    }
}
