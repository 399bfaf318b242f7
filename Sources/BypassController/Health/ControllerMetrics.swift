internal import BypassAPI
internal import CoreMetrics
internal import PrometheusMetrics

/// The controller's metrics, by their names in Prometheus.
final class ControllerMetrics: Sendable {
    private let registry = MetricsRegistry(
        prefix: "kmesh_bypass_controller_", version: Product.version, commit: Product.commit,
        help: [
            "labelled_pods": "Labelled pods on this node.",
            "bypassed_pods": "Pods that the controller has bypassed.",
            "daemon_connected": "1 while the daemon is connected and reports its bypasses.",
            "daemon_calls_total": "Calls to the daemon, by result: ok, or the error's kind.",
            "api_requests_total": "Requests to the API server, by response code.",
            "disconnections_total": "Connections that were lost.",
            "status_updates_total": "Updates of pods' statuses, by result: ok, the response code, or unreachable.",
            "watch_age_seconds": "Seconds since the watch of pods last worked; 0 while it works.",
            "build_info": "1, with the controller's version and commit.",
        ])

    let pods: Meter
    let bypassed: Meter
    let isConnected: Meter
    /// Set when the metrics are read.
    let watchAge: Meter

    init() {
        pods = registry.meter("labelled_pods")
        bypassed = registry.meter("bypassed_pods")
        isConnected = registry.meter("daemon_connected")
        watchAge = registry.meter("watch_age_seconds")
        for meter in [pods, bypassed, isConnected, watchAge] { meter.set(0) }
        // The first increase of a counter that was not there is none to Prometheus: what is known in advance is there.
        for operation in DaemonClient.Operation.allCases { _ = daemonCalls(operation, "ok") }
        for result in ["ok", "unreachable"] { _ = statusUpdates(result) }
        for connection in Connection.allCases { _ = disconnections(connection) }
    }

    /// What the controller is connected to.
    enum Connection: String, CaseIterable {
        case apiServer = "api-server"
        case daemon
    }

    func recordDaemonCall(_ operation: DaemonClient.Operation, _ result: String) {
        daemonCalls(operation, result).increment()
    }

    func recordAPIRequest(_ verb: String, _ code: String) {
        registry.counter("api_requests_total", [("verb", verb), ("code", code)]).increment()
    }

    func recordStatusUpdate(_ result: String) { statusUpdates(result).increment() }

    func recordDisconnection(from connection: Connection) { disconnections(connection).increment() }

    private func daemonCalls(_ operation: DaemonClient.Operation, _ result: String) -> Counter {
        registry.counter("daemon_calls_total", [("operation", operation.rawValue), ("result", result)])
    }

    private func statusUpdates(_ result: String) -> Counter {
        registry.counter("status_updates_total", [("result", result)])
    }

    private func disconnections(_ connection: Connection) -> Counter {
        registry.counter("disconnections_total", [("from", connection.rawValue)])
    }

    /// All metrics in Prometheus' text format.
    var text: String { registry.text }
}
