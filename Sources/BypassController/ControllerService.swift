internal import BypassAPI
internal import BypassClient
public import Kubernetes
public import Logging
public import ServiceLifecycle

/// The controller as one service: its watches, its work and its health, until it is to end. Bypasses outlive it.
public struct ControllerService: Service {
    public struct Configuration: Sendable {
        /// Off: what an earlier controller has bypassed on this node is ended, and nothing else is done.
        public var isEnabled = false
        /// The name that the API server has for this node.
        public var node: String
        /// Where the daemon listens.
        public var socket = Product.socketPath
        public var healthHost = "127.0.0.1"
        public var healthPort = 9466

        public init(node: String) {
            self.node = node
        }
    }

    private let configuration: Configuration
    private let client: APIClient
    private let metrics: ControllerMetrics
    private let logger: Logger

    /// - Throws: ``AccessError`` if there is no way to an API server.
    public init(_ configuration: Configuration, _ access: ClusterAccess, logger: Logger) throws(AccessError) {
        let metrics = ControllerMetrics()
        self.configuration = configuration
        self.logger = logger
        self.metrics = metrics
        client = try APIClient(
            access, agent: "\(EventRecorder.component)/\(Product.version)",
            observer: { verb, code in metrics.noteRequest(verb, code) })
    }

    /// - Throws: if the port for health cannot be had.
    public func run() async throws {
        let calls = DaemonCalls(configuration.socket) { [metrics] in metrics.noteCall($0, $1) }
        let teller = Teller(client, node: configuration.node, logger: logger)
        let controller = Controller(calls: calls, teller: teller, metrics: metrics, logger: logger)
        let health: HealthServer
        do {
            health = try await HealthServer(host: configuration.healthHost, port: configuration.healthPort) { path in
                await answer(path, controller)
            }
        } catch {
            await client.shutdown()
            throw HealthPortTaken(
                description: "cannot listen on \(configuration.healthHost):\(configuration.healthPort) for /healthz "
                    + "(\(error)): name another with --health-address")
        }
        await cancelWhenGracefulShutdown {
            await withDiscardingTaskGroup { group in
                group.addTask { await health.run() }
                if configuration.isEnabled {
                    group.addTask { await followPods(controller) }
                    group.addTask { await followBypasses(controller) }
                } else {
                    group.addTask { await withdraw(calls) }
                }
            }
        }
        await controller.stop()
        await client.shutdown()
    }

    private func followPods(_ controller: Controller) async {
        let selectors = [
            ("labelSelector", Names.selector), ("fieldSelector", "spec.nodeName=\(configuration.node)"),
        ]
        for await element in ResourceWatch<Pod>(client, "/api/v1/pods", selectors: selectors) {
            await controller.take(element)
        }
    }

    private func followBypasses(_ controller: Controller) async {
        for await element in BypassWatch(configuration.socket) { await controller.take(element) }
    }

    private func answer(_ path: String, _ controller: Controller) async -> HealthAnswer? {
        switch path {
        case "/healthz": return .init(isGood: true, text: "ok\n")
        case "/readyz":
            guard configuration.isEnabled else { return .init(isGood: true, text: "ok: the bypass is not enabled\n") }
            let obstacle = await controller.obstacle
            return .init(isGood: obstacle == nil, text: (obstacle ?? "ok") + "\n")
        case "/metrics": return .init(isGood: true, text: metrics.text)
        default: return nil
        }
    }

    /// Ends every bypass that a controller has made on this node.
    private func withdraw(_ calls: DaemonCalls) async {
        logger.notice("the bypass is not enabled (--enable-bypass=true): labels are not looked at")
        var backoff = Backoff()
        while !Task.isCancelled {
            do throws(DaemonCalls.Failure) {
                for bypass in try await calls.list() where PodName(owner: bypass.owner) != nil {
                    _ = try await calls.turnOff(bypass)
                    logger.notice("no longer bypassed", metadata: ["owner": "\(bypass.owner ?? "")"])
                }
                return
            } catch {
                logger.warning("earlier bypasses cannot be ended yet", metadata: ["error": "\(error.reason)"])
                try? await Task.sleep(for: backoff.next())
            }
        }
    }
}

/// The one thing that keeps the controller from starting, once it knows where the API server is.
public struct HealthPortTaken: Error, CustomStringConvertible {
    public let description: String
}
