internal import Bypass
package import BypassAPI
internal import BypassPolicy
internal import Datapath
internal import Linux
package import Logging
internal import Synchronization

/// The daemon: what it consists of, in the order in which it starts, and backwards as it ends.
package final class Daemon: Sendable {
    package struct Configuration: Sendable {
        package var socket = Product.socketPath
        /// Who, besides root, may connect.
        package var socketGroup = "kmesh"
        package var bpffs = "/sys/fs/bpf"
        package var stateFolder = "/run/kmesh/state"
        /// The policy file; without the file at the usual path, what ``BypassPolicy/Policy/builtIn(group:)`` allows.
        package var policy = PolicyFile.path
        /// The destination of audit records: the journal's socket; nil for where the log goes.
        package var journal = Systemd.journal
        package var limits = Limits()
        /// The file with metrics for node_exporter's textfile collector; nil for none.
        package var metricsFile: String?
        /// Seconds in which every bypass is resynced once.
        package var checkInterval = 2

        package init() {}
    }

    private let logger: Logger
    private let policy: PolicyStore
    private let socket: ServerSocket
    private let lock: OwnedDescriptor
    private let manager: BypassManager
    private let recovery: Recovery
    private let notifier: SystemdNotifier
    private let services: [Service]

    /// A part of the daemon that runs between the daemon's start and its end.
    private struct Service: Sendable {
        var start: @Sendable () throws(SystemCallError) -> Void = {}
        /// Returns when the part has ended.
        var stop: @Sendable () -> Void

        /// One with a thread of its own, which ends after `stop` was called.
        static func thread(
            _ name: String, _ run: @escaping @Sendable () -> Void, stop: @escaping @Sendable () -> Void
        ) -> Service {
            let thread = SharedThread()
            return Service { () throws(SystemCallError) in
                try thread.start(name, run)
            } stop: {
                stop()
                thread.join()
            }
        }
    }

    private final class SharedThread: Sendable {
        private let thread = Mutex<Thread?>(nil)

        func start(_ name: String, _ run: @escaping @Sendable () -> Void) throws(SystemCallError) {
            let started = try Thread.start(name, run)
            thread.withLock { $0 = started }
        }

        func join() { thread.withLock(\.self)?.join() }
    }

    /// Namespaces that are worked on side by side without a call: more than processors, since kernel work can wait (for a
    /// grace period, for a lock).
    private static let maintenanceThreads = 4
    /// The time for answers to begun requests after the daemon is asked to end.
    private static let shutdownGrace = Interval.seconds(10)

    /// Takes the socket and sets up the matcher. From here on clients can connect; ``run()`` answers them.
    package init(_ configuration: Configuration, logger: Logger) throws(StartError) {
        ProcessMemory.bound()
        try Startup.checkCapabilities()
        try Startup.lowerCapabilities()
        try Startup.checkOwnNamespace()
        try Startup.raiseDescriptorLimit()
        // Beside everything else that a start has to do.
        let loader = try Startup.make(try MatcherLoader(for: configuration.bpffs))
        // Its threads may wait for a server of accounts: no service stops them, they end with the process.
        let lookUps = try Startup.make(try WorkQueue("accounts", threads: AccountResolver.threads))
        let accounts = AccountResolver(queue: lookUps, logger: logger)
        let policy = try Startup.readPolicy(configuration.policy, accounts: accounts, logger: logger)
        let socket = try Startup.takeSocket(configuration, accounts: accounts)
        do throws(StartError) {
            let lock = try Startup.claim(configuration.bpffs)
            let store = try Startup.make(try BypassStore(folder: configuration.stateFolder))
            let background = try Startup.make(try WorkQueue("background"))
            let maintenance = try Startup.make(try WorkQueue("maintenance", threads: Self.maintenanceThreads))
            let closer = try Startup.make(try DeferredCloser())

            let metrics = DaemonMetrics()
            let names = LocalAccountNames()
            let audit = Audit(
                journal: configuration.journal, metrics: metrics, names: names, logger: logger, queue: background)
            let log = RateLimitedLog(metrics: metrics, names: names, logger: logger, queue: background)
            let notifier = SystemdNotifier(queue: background)
            let matcher = try Startup.pin(loader)
            let executor = NamespaceExecutor(matcher: matcher, closer: closer)
            let masks = try Startup.make(try MaskWatch(queue: maintenance, logger: logger))
            let transition = Transition(
                store: store, masks: masks, events: EventLog(capacity: configuration.limits.events), matcher: matcher,
                rulesets: executor.rulesets, audit: audit, notifier: notifier, metrics: metrics, log: log,
                logger: logger)
            let authorizer = Authorizer(policy: policy, audit: audit)
            let manager = BypassManager(
                executor: executor, transition: transition, authorizer: authorizer, matcher: matcher, metrics: metrics,
                logger: logger)
            let recovery = Recovery(manager, queue: maintenance)
            let resync = ResyncLoop(
                manager, Surroundings(manager, socket, notifier: notifier), queue: maintenance,
                seconds: configuration.checkInterval)
            let connections = ConnectionRegistry(limits: configuration.limits, metrics: metrics)
            let context = ServerContext(
                router: Router(manager, recovery, connections.unread, startedAt: .now), limits: configuration.limits,
                connections: connections, reaper: try Startup.make(try SocketReaper()), log: log)
            let acceptor = Acceptor(context, accounts: SubordinateAccounts(accounts: accounts), logger: logger)
            let watchdog = Watchdog(socket, executor.gate) {
                _ = (connections.count, store[0], transition.events[0], transition.repairs[0])
            }

            self.logger = logger
            self.policy = policy
            self.socket = socket
            self.lock = lock
            self.manager = manager
            self.recovery = recovery
            self.notifier = notifier
            var services: [Service] = []
            if let path = configuration.metricsFile {
                let file = MetricsFile(path, manager, queue: background)
                services.append(
                    Service {
                        file.start()
                    } stop: {
                        file.remove()
                    })
            }
            services += [
                Service(stop: {
                    background.stop()
                    audit.finish()
                    log.finish()
                }),
                Service(stop: { closer.stop() }),
                Service(stop: { maintenance.stop(discardingPending: true) }),
                .thread("resync") {
                    resync.run(after: recovery)
                } stop: {
                    resync.stop()
                },
                .thread("expiry") {
                    transition.timers.run { inode in
                        maintenance.add { if let record = store[inode] { manager.reconcile(inode, record) } }
                    }
                } stop: {
                    transition.timers.stop()
                },
                .thread("masks") {
                    masks.run { inode in if let record = store[inode] { manager.resync(inode, record) } }
                } stop: {
                    masks.stop()
                },
                Service(stop: { connections.closeAll(within: Self.shutdownGrace) }),
                Service {
                    recovery.start()
                } stop: {
                    recovery.stop()
                },
                .thread("acceptor") {
                    socket.run(acceptor.run)
                } stop: {
                    socket.stop()
                },
            ]
            if Watchdog.isWanted {
                services.append(
                    .thread("watchdog") {
                        watchdog.run()
                    } stop: {
                        watchdog.stop()
                    })
            }
            self.services = services
        } catch {
            socket.remove()
            throw error
        }
    }

    /// Keeps SIGTERM, SIGINT and SIGHUP for ``run()``. To be called before there is a second thread.
    package static func blockSignals() throws(StartError) {
        do throws(SystemCallError) {
            try Signals.block()
        } catch {
            throw StartError(error)
        }
    }

    /// Answers clients until SIGTERM or SIGINT; then answers what was begun, and leaves every bypass as it is. SIGHUP has the
    /// policy read again. To be called on the thread that has called ``blockSignals()``.
    package func run() throws(StartError) {
        do throws(SystemCallError) {
            for service in services { try service.start() }
        } catch {
            throw StartError(error)
        }
        logger.notice(
            "ready",
            metadata: [
                "version": "\(Product.fullVersion)", "socket": "\(socket.path)", "pin": "\(manager.matcher.pin)",
                "tag": "\(manager.matcher.tagText)", "bypassed": "\(manager.store.count)",
                "policy": "\(policy.summary)",
            ])
        logPolicyWarnings()
        if let error = HostNamespace.unknownFirstProcess {
            logger.warning(
                "PID 1's network namespace cannot be read: only the daemon's own is refused as the host's",
                metadata: ["error": "\(error)"])
        }
        notifier.ready(bypassed: manager.store.count)
        while Signals.wait() == .reload { reload() }
        notifier.stopping()
        for service in services.reversed() { service.stop() }
        socket.remove()
        logger.notice("ended", metadata: ["bypassed": "\(manager.store.count)"])
    }

    private func logPolicyWarnings() {
        for line in policy.warnings {
            logger.warning("part of the policy has no effect yet", metadata: ["warning": "\(line)"])
        }
    }

    /// Reads the policy file again. One that is not in order changes nothing, and is reported.
    private func reload() {
        notifier.reloading {
            do throws(PolicyLoadingError) {
                try policy.reload()
                logger.notice("policy reloaded", metadata: ["policy": "\(policy.summary)"])
                logPolicyWarnings()
                return nil
            } catch {
                for line in error.lines {
                    logger.error("policy not reloaded: the old one stays in effect", metadata: ["error": "\(line)"])
                }
                return "policy not reloaded: \(error.lines.first ?? "")"
            }
        }
    }
}

extension Router {
    /// With all methods of the contract.
    fileprivate init(_ manager: BypassManager, _ recovery: Recovery, _ unread: UnreadAnswers, startedAt: Instant) {
        self.init(metrics: manager.metrics) { peer, work in
            let gate = manager.executor.gate
            let place = gate.enter(manager.principal(of: peer))
            defer { gate.leave(place) }
            work()
        } roleCheck: { permission, request, call in
            manager.authorizer.roleRefusal(of: call.peer, asking: permission, in: request, &call.afterAnswer)
        }
        addBypass(manager)
        addExtend(manager)
        addStatus(manager)
        addExplain(manager)
        addTrace(manager)
        addList(manager, after: recovery, unread: unread)
        addClear(manager, after: recovery)
        addSubscribe(manager.transition.events, after: recovery, unread: unread)
        addInfo(manager, startedAt: startedAt, kernel: Startup.kernelRelease())
        addMetrics(manager)
        addDiscover()
    }
}
