internal import Bypass
public import BypassAPI
internal import BypassPolicy
internal import Datapath
internal import Linux
public import Logging
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
        /// Who may do what; a file that is not there allows what ``Bypass/Policy`` has built in.
        public var policy = "/etc/kmesh/bypassd.toml"
        /// Where audit records go: the journal's socket; nil for where the log goes.
        public var journal = Systemd.journal
        public var limits = Limits()
        /// Where metrics are written for node_exporter's textfile collector; nil for nowhere.
        public var metricsFile: String?
        /// Seconds in which every bypass is looked at once.
        public var checkInterval = 2

        public init() {}
    }

    private let configuration: Configuration
    private let logger: Logger
    private let policy: PolicyStore
    private let socket: Startup.Socket
    private let lock: OwnedDescriptor
    private let matcher: Matcher
    private let registry: Registry
    private let status = ServiceStatus()

    /// Namespaces that are worked on side by side. More than processors, since kernel work can wait (for a grace
    /// period, for a lock).
    private static let engineThreads = 4

    /// Takes the socket and sets up the matcher. From here on clients can connect; `run` answers them.
    public init(_ configuration: Configuration, logger: Logger) throws(StartError) {
        self.configuration = configuration
        self.logger = logger
        try Startup.checkCapabilities()
        try Startup.checkOwnNamespace()
        try Startup.raiseDescriptorLimit()
        policy = try Startup.readPolicy(configuration.policy)
        socket = try Startup.takeSocket(configuration)
        do throws(StartError) {
            lock = try Startup.claim(configuration.bpffs)
            matcher = try Startup.loadMatcher(configuration.bpffs)
            registry = try Startup.openRegistry(configuration.stateFolder)
        } catch {
            socket.remove()
            throw error
        }
    }

    /// Answers clients until it is asked to end; then answers what was begun, and leaves every bypass as it is.
    public func run() async throws {
        let startedAt = BootClock.now
        let loops = MultiThreadedEventLoopGroup(numberOfThreads: min(2, System.coreCount))
        let background = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let acceptor = NIOThreadPool(numberOfThreads: 1)
        acceptor.start()
        let threads = NIOThreadPool(numberOfThreads: Self.engineThreads)
        threads.start()
        let counted = DaemonMetrics()
        let audit = Audit(
            journal: configuration.journal, counted: counted, background: background.next(), logger: logger)
        let engine = Engine(
            matcher: matcher, registry: registry, access: Access(policy: policy, audit: audit),
            events: EventLog(capacity: configuration.limits.events), status: status, counted: counted,
            threads: threads, background: background.next(), logger: logger)
        engine.adopt()
        let rounds = Rounds(engine, seconds: configuration.checkInterval)
        rounds.start()
        let metricsFile = configuration.metricsFile.map { MetricsFile($0, engine) }
        metricsFile?.start()
        let router = Router(engine, startedAt: startedAt, kernel: Startup.kernelRelease())
        let server = Server(router: router, limits: configuration.limits, counted: counted, logger: logger)
        logger.notice(
            "ready",
            metadata: [
                "socket": "\(socket.path)", "pin": "\(matcher.pin)", "tag": "\(matcher.tagText)",
                "bypassed": "\(registry.count)", "policy": "\(policy.summary)",
            ])
        if let error = HostNamespace.unknownFirstProcess {
            logger.warning(
                "PID 1's network namespace cannot be looked at: only the daemon's own is refused as the host's",
                metadata: ["error": "\(error)"])
        }
        status.ready(bypassed: registry.count)
        let watchdog = ServiceStatus.startWatchdog(loops, threads, on: background.next())
        let listener = socket.listener
        try await withGracefulShutdownHandler {
            try await acceptor.runIfActive { server.serve(listener, on: loops) }
        } onGracefulShutdown: {
            listener.stop()
        }
        status.stopping()
        await server.finish()
        rounds.stop()
        let isWatchdogOver = background.next().makePromise(of: Void.self)
        if let watchdog { watchdog.cancel(promise: isWatchdogOver) } else { isWatchdogOver.succeed() }
        try await isWatchdogOver.futureResult.get()
        socket.remove()
        try await acceptor.shutdownGracefully()
        try await loops.shutdownGracefully()
        try await threads.shutdownGracefully()
        engine.noteAdopted()
        metricsFile?.remove()
        try await audit.flush()
        try await background.shutdownGracefully()
        logger.notice("ended", metadata: ["bypassed": "\(registry.count)"])
    }

    /// Reads the policy file again. One that is not in order changes nothing, and is complained about.
    public func reload() {
        status.reloading {
            do throws(PolicyLoadingError) {
                try policy.reload()
                logger.notice("policy reloaded", metadata: ["policy": "\(policy.summary)"])
                return nil
            } catch {
                for line in error.lines {
                    logger.error("policy not reloaded, the old one stays", metadata: ["error": "\(line)"])
                }
                return "policy not reloaded: \(error.lines.first ?? "")"
            }
        }
    }
}
