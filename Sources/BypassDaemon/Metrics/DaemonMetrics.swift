internal import Bypass
internal import BypassAPI
internal import CoreMetrics
internal import Linux
internal import PrometheusMetrics
internal import Synchronization

/// Everything that the daemon counts, by the names that Prometheus has for it.
final class DaemonMetrics: Sendable {
    private let factory = PrometheusFactory(help: help)
    private let errors = Mutex<[String: Counter]>([:])

    let expiries: Counter
    let repairs: Counter
    let denials: Counter
    let connections: Meter
    private let bypassed: Meter

    private static let prefix = "kmesh_bypass_"
    private static let help = [
        prefix + "calls_total": "Calls of methods by clients, by what came of them: ok, or the error's kind.",
        prefix + "call_duration_seconds": "From a request to its answer, by method.",
        prefix + "bypassed_namespaces": "Network namespaces that are bypassed.",
        prefix + "expiries_total": "Bypasses that have ended since their time was over.",
        prefix + "repairs_total": "Bypasses that were repaired, since somebody else had damaged them.",
        prefix + "denials_total": "Calls that the policy did not allow.",
        prefix + "connections": "Connections of clients that are open.",
        prefix + "connections_ended_total": "Connections that were refused or ended for a limit, and requests refused.",
        prefix + "kernel_errors_total": "System calls and changes of a ruleset that the kernel refused.",
        prefix + "build_info": "1, with the version of the daemon.",
        prefix + "start_time_seconds": "When the daemon started, since 1970.",
    ]

    init() {
        expiries = Counter(label: Self.prefix + "expiries_total", factory: factory)
        repairs = Counter(label: Self.prefix + "repairs_total", factory: factory)
        denials = Counter(label: Self.prefix + "denials_total", factory: factory)
        connections = Meter(label: Self.prefix + "connections", factory: factory)
        bypassed = Meter(label: Self.prefix + "bypassed_namespaces", factory: factory)
        connections.set(0)
        Meter(
            label: Self.prefix + "build_info", dimensions: [("version", Product.version)], factory: factory
        ).set(1)
        Meter(label: Self.prefix + "start_time_seconds", factory: factory).set(WallClock.now / 1_000_000_000)
    }

    /// All of it, in Prometheus' text format.
    func text(bypassed count: Int) -> String {
        bypassed.set(Int64(count))
        return factory.text
    }

    /// What is counted of the calls of one method. The handles are made once: a call looks nothing up but its result.
    final class Calls: Sendable {
        private let metrics: DaemonMetrics
        private let method: String
        private let duration: Timer
        private let succeeded: Counter
        private let failed = Mutex<[String: Counter]>([:])

        fileprivate init(_ metrics: DaemonMetrics, _ method: String) {
            self.metrics = metrics
            self.method = method
            duration = Timer(
                label: prefix + "call_duration_seconds", dimensions: [("method", method)], factory: metrics.factory)
            succeeded = metrics.callCounter(method, "ok")
        }

        /// - Parameter failure: the error's kind; nil if there was none.
        func record(_ failure: String?, since began: Instant) {
            duration.recordNanoseconds(Int64(clamping: (Instant.now - began).nanoseconds))
            guard let failure else { return succeeded.increment() }
            failed.withLock { failed in
                let counter = failed[failure] ?? metrics.callCounter(method, failure)
                failed[failure] = counter
                counter.increment()
            }
        }
    }

    func calls(of method: String) -> Calls { Calls(self, method) }

    private func callCounter(_ method: String, _ result: String) -> Counter {
        Counter(
            label: Self.prefix + "calls_total", dimensions: [("method", method), ("result", result)],
            factory: factory)
    }

    /// A client or a request that went beyond a limit.
    func countLimit(_ limit: Limits.Name) {
        counter("connections_ended_total", [("limit", limit.rawValue)]).increment()
    }

    /// Counts what the kernel refused; other errors are not counted.
    func countError(_ error: BypassError) {
        guard case .kernelRefused(let operation, let errno, _) = error else { return }
        // Without paths and names, of which there is no end: what a file was opened by is in the log.
        let all = operation.split(separator: " ")
        let words = all.first == "open" ? "open" : all.filter { !$0.contains("/") }.joined(separator: " ")
        counter("kernel_errors_total", [("operation", words), ("errno", errno)]).increment()
    }

    private func counter(_ name: String, _ dimensions: [(String, String)]) -> Counter {
        errors.withLock { errors in
            let key = name + dimensions.map { " \($0.0)=\($0.1)" }.joined()
            if let counter = errors[key] { return counter }
            let counter = Counter(label: Self.prefix + name, dimensions: dimensions, factory: factory)
            errors[key] = counter
            return counter
        }
    }
}
