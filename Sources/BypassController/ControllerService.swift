internal import BypassAPI
internal import BypassClient
internal import CoreMetrics
package import Kubernetes
package import Logging
internal import PodBypass
internal import Retry
internal import ServiceLifecycle

/// The controller as one service: its watches, its reconciler and its health server. Bypasses outlive it.
package struct ControllerService: Service {
    package struct Configuration: Sendable {
        /// false: the bypasses of an earlier controller on this node are turned off, and nothing else is done.
        package var isEnabled = false
        /// The name of the node in Kubernetes.
        package var node: String
        /// The daemon's socket.
        package var socket = Product.socketPath
        package var healthHost = "127.0.0.1"
        package var healthPort = 9466
        /// Whether /metrics has the daemon's metrics as well.
        package var showsDaemonMetrics = false
        /// Names of containers that are sidecars, besides those of the known meshes.
        package var sidecars: [String] = []

        package init(node: String) {
            self.node = node
        }
    }

    private let configuration: Configuration
    private let client: APIClient
    private let metrics: ControllerMetrics
    private let logger: Logger

    /// - Throws: ``AccessError`` if certificates or keys cannot be used.
    package init(_ configuration: Configuration, _ access: ClusterAccess, logger: Logger) throws(AccessError) {
        let metrics = ControllerMetrics()
        self.configuration = configuration
        self.logger = logger
        self.metrics = metrics
        client = try APIClient(
            access, userAgent: "\(EventRecorder.component)/\(Product.version)",
            observer: { verb, code in metrics.recordAPIRequest(verb, code) })
    }

    /// - Throws: ``HealthListenError``.
    package func run() async throws {
        let daemon = DaemonClient(configuration.socket) { [metrics] in metrics.recordDaemonCall($0, $1) }
        let statusReporter = StatusReporter(client, node: configuration.node, logger: logger) { [metrics] in
            metrics.recordStatusUpdate($0)
        }
        let controller = Controller(
            daemon: daemon, statusReporter: statusReporter, pods: PodLookup(client),
            sidecars: Sidecars(others: configuration.sidecars),
            metrics: metrics, logger: logger)
        let daemonMetrics = configuration.showsDaemonMetrics ? DaemonMetrics(configuration.socket) : nil
        let health: HealthServer
        do {
            health = try await HealthServer(host: configuration.healthHost, port: configuration.healthPort) { path in
                await respond(to: path, controller, daemonMetrics)
            }
        } catch {
            await client.shutdown()
            throw HealthListenError(
                description: "cannot listen on \(configuration.healthHost):\(configuration.healthPort) for /healthz "
                    + "(\(error)): name another with --health-address")
        }
        logger.notice("started", metadata: ["version": "\(Product.fullVersion)", "node": "\(configuration.node)"])
        await cancelWhenGracefulShutdown {
            await withDiscardingTaskGroup { group in
                group.addTask { await health.run() }
                if configuration.isEnabled {
                    group.addTask { await watchPods(controller) }
                    group.addTask { await watchBypasses(controller) }
                    group.addTask { await removeStaleStatuses(controller) }
                } else {
                    group.addTask { await disableAll(daemon) }
                }
            }
        }
        await controller.stop()
        await client.shutdown()
    }

    private func watchPods(_ controller: Controller) async {
        let selectors = [
            ("labelSelector", BypassLabel.selector), ("fieldSelector", "spec.nodeName=\(configuration.node)"),
        ]
        for await element in ResourceWatch<Pod>(client, "/api/v1/pods", selectors: selectors) {
            await controller.handle(element)
        }
    }

    private func watchBypasses(_ controller: Controller) async {
        for await element in BypassWatch(configuration.socket) { await controller.handle(element) }
    }

    private func respond(
        to path: String, _ controller: Controller, _ daemonMetrics: DaemonMetrics?
    ) async -> HealthResponse? {
        switch path {
        case "/healthz": return .init(isHealthy: true, text: "ok\n")
        case "/readyz":
            guard configuration.isEnabled else {
                return .init(isHealthy: true, text: "ok: the bypass is not enabled\n")
            }
            let reason = await controller.notReadyReason
            return .init(isHealthy: reason == nil, text: (reason ?? "ok") + "\n")
        case "/metrics":
            if configuration.isEnabled { metrics.watchAge.set(await controller.watchAge.components.seconds) }
            return .init(isHealthy: true, text: metrics.text + (await daemonMetrics?.text ?? ""))
        default: return nil
        }
    }

    /// Turns off every bypass that a controller has made on this node, and removes what it has written on pods.
    private func disableAll(_ daemon: DaemonClient) async {
        logger.notice("the bypass is not enabled (--enable-bypass=true): labels are ignored")
        await retrying("earlier bypasses cannot be turned off yet") {
            do throws(DaemonClient.Failure) {
                return try await turnOffAll(daemon)
            } catch {
                return RetryReason(error.reason)
            }
        }
        // That of an expired bypass, too: without a controller nothing keeps it true.
        await removeStatuses { _, _ in true }
    }

    /// - Returns: why some may still be on; nil if all are off.
    private func turnOffAll(_ daemon: DaemonClient) async throws(DaemonClient.Failure) -> RetryReason? {
        let list = try await daemon.list()
        var failure: RetryReason?
        var serverAnswers = true
        for bypass in list.bypasses {
            guard let owner = bypass.owner, let reference = PodReference(owner: owner) else { continue }
            do throws(DaemonClient.Failure) {
                let pod = serverAnswers ? await lookUp(reference, &serverAnswers) : nil
                _ = try await daemon.turnOff(bypass, of: pod)
                logger.notice("no longer bypassed", metadata: ["owner": "\(owner)"])
            } catch {
                // One that stays on does not keep the others on.
                failure = failure ?? RetryReason("\(owner): \(error.reason)")
            }
        }
        return failure ?? (list.isComplete ? nil : RetryReason("the daemon's list does not show all bypasses"))
    }

    /// The pod says only what happens to open connections, and in which of several namespaces: its bypass does not wait long for
    /// that.
    ///
    /// - Parameter serverAnswers: becomes false if the API server has not answered, not even by a refusal.
    private func lookUp(_ reference: PodReference, _ serverAnswers: inout Bool) async -> Pod? {
        do throws(APIError) {
            return try await withTimeout(.seconds(5)) { () async throws(APIError) in
                try await PodLookup(client).find(reference)
            }
        } catch {
            serverAnswers = error.code != nil
            return nil
        }
    }

    /// Pods that have lost their label while no controller ran are not in its watch. If the bypass of one does not end, its
    /// status says so.
    private func removeStaleStatuses(_ controller: Controller) async {
        await removeStatuses { status, pod in
            guard pod.metadata.labels[BypassLabel.key] != BypassLabel.enabled,
                BypassCondition.off(wasOn: false).replaces(status)
            else { return false }
            return await controller.entries[pod.metadata.uid]?.bypass == nil
        }
    }

    private func removeStatuses(where isStale: (_ status: String, Pod) async -> Bool) async {
        await retrying("statuses of pods cannot be removed yet") {
            do throws(APIError) {
                try await PodPatch.removeStatuses(on: configuration.node, with: client, where: isStale)
                return nil
            } catch {
                return RetryReason(error.description, delay: error.retryAfter ?? .zero)
            }
        }
    }

    /// - Parameter body: returns why it failed; nil if it has not.
    private func retrying(_ message: Logger.Message, _ body: () async -> RetryReason?) async {
        var backoff = ExponentialBackoff()
        while !Task.isCancelled, let reason = await body() {
            logger.warning(message, metadata: ["error": "\(reason.text)"])
            try? await Task.sleep(for: max(backoff.next(), reason.delay))
        }
    }
}

/// Why something has to be tried again.
private struct RetryReason {
    var text: String
    /// How long the server asks its clients to wait.
    var delay: Duration

    init(_ text: String, delay: Duration = .zero) {
        self.text = text
        self.delay = delay
    }
}

/// The health server cannot listen on its port.
package struct HealthListenError: Error, CustomStringConvertible {
    package let description: String
}
