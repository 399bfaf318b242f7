internal import BypassAPI
internal import CoreMetrics
internal import PrometheusMetrics

/// Everything that the controller counts, by the names that Prometheus has for it.
final class ControllerMetrics: Sendable {
    private let factory = PrometheusFactory(help: help)

    let pods: Meter
    let bypassed: Meter
    let isConnected: Meter

    private static let prefix = "kmesh_bypass_controller_"
    private static let help = [
        prefix + "labelled_pods": "Pods on this node that are labelled.",
        prefix + "bypassed_pods": "Pods that the controller has bypassed.",
        prefix + "daemon_connected": "1 while the daemon tells of its bypasses.",
        prefix + "daemon_calls_total": "Calls to the daemon, by what came of them: ok, or the error's kind.",
        prefix + "api_requests_total": "Requests to the API server, by the code of the answer.",
        prefix + "disconnections_total": "Connections that have ended otherwise than by agreement.",
        prefix + "build_info": "1, with the version of the controller.",
    ]

    init() {
        pods = Meter(label: Self.prefix + "labelled_pods", factory: factory)
        bypassed = Meter(label: Self.prefix + "bypassed_pods", factory: factory)
        isConnected = Meter(label: Self.prefix + "daemon_connected", factory: factory)
        for meter in [pods, bypassed, isConnected] { meter.set(0) }
        Meter(
            label: Self.prefix + "build_info", dimensions: [("version", Product.version)], factory: factory
        ).set(1)
    }

    func noteCall(_ operation: String, _ result: String) {
        count("daemon_calls_total", [("operation", operation), ("result", result)])
    }

    func noteRequest(_ verb: String, _ code: String) {
        count("api_requests_total", [("verb", verb), ("code", code)])
    }

    func noteDisconnection(_ from: String) {
        count("disconnections_total", [("from", from)])
    }

    private func count(_ name: String, _ dimensions: [(String, String)]) {
        Counter(label: Self.prefix + name, dimensions: dimensions, factory: factory).increment()
    }

    /// All of it, in Prometheus' text format.
    var text: String { factory.text }
}
