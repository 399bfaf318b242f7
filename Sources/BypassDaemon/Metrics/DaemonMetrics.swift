internal import Bypass
internal import BypassAPI
internal import CoreMetrics
internal import Linux
internal import PrometheusMetrics

/// Everything that the daemon counts, by the names that Prometheus has for it.
final class DaemonMetrics: Sendable {
    private let registry = MetricsRegistry(
        prefix: "kmesh_bypass_", version: Product.version, commit: Product.commit,
        help: [
            "calls_total": "Method calls by method and result: ok, or the error's kind.",
            "call_duration_seconds": "Time from request to answer, by method.",
            "bypassed_namespaces": "Bypassed network namespaces.",
            "namespaces": "Bypassed network namespaces by state, effect and kind of end.",
            "oldest_start_time_seconds":
                "Start of the oldest bypass, by kind of end, in seconds since 1970. NaN without one.",
            "next_expiry_time_seconds": "Next expiry of a bypass, in seconds since 1970. NaN if none expires.",
            "contested_namespaces": "Bypasses that another program keeps damaging.",
            "leftover_namespaces": "Ended bypasses whose rules could not all be removed yet.",
            "expiries_total": "Expired bypasses.",
            "repairs_total": "Repairs of bypasses that another program had damaged.",
            "denials_total": "Calls that the policy did not allow.",
            "connections": "Open client connections.",
            "connections_ended_total":
                "Connections refused or ended, and requests refused, by the limit that was exceeded.",
            "kernel_errors_total": "System calls and ruleset changes that the kernel refused.",
            "build_info": "1, with the daemon's version and commit.",
            "start_time_seconds": "Start of the daemon, in seconds since 1970.",
        ])
    private let kernelErrors = Monitor<[String: Counter]>([:])
    private let limits: [Limits.Name: Counter]

    let expiries: Counter
    let repairs: Counter
    let denials: Counter
    let connections: Meter
    private let bypassed: Meter

    init() {
        expiries = registry.counter("expiries_total")
        repairs = registry.counter("repairs_total")
        denials = registry.counter("denials_total")
        connections = registry.meter("connections")
        bypassed = registry.meter("bypassed_namespaces")
        // All of them from the start: the first increase of a counter that was not there is none to Prometheus.
        limits = Dictionary(
            uniqueKeysWithValues: Limits.Name.allCases.map { [registry] limit in
                (limit, registry.counter("connections_ended_total", [("limit", limit.rawValue)]))
            })
        connections.set(0)
        registry.meter("start_time_seconds").set(WallClock.now / 1_000_000_000)
    }

    /// All of it, in Prometheus' text format.
    func text(bypassed count: Int, _ gauges: BypassGauges) -> String {
        bypassed.set(Int64(count))
        for kind in BypassGauges.kinds {
            let labels = [
                ("state", kind.state.rawValue), ("effect", kind.effect.rawValue), ("ends", kind.ends.rawValue),
            ]
            registry.meter("namespaces", labels).set(Int64(gauges.namespaces[kind] ?? 0))
        }
        for ends in BypassGauges.Ends.allCases {
            registry.meter("oldest_start_time_seconds", [("ends", ends.rawValue)]).set(gauges.oldest[ends])
        }
        registry.meter("next_expiry_time_seconds").set(gauges.nextExpiry)
        registry.meter("contested_namespaces").set(Int64(gauges.contested))
        registry.meter("leftover_namespaces").set(Int64(gauges.leftovers))
        return registry.text
    }

    /// The counters of the calls of one method. The handles are made once: a call looks nothing up but its result.
    final class Calls: Sendable {
        private let metrics: DaemonMetrics
        private let method: String
        private let duration: Timer
        private let succeeded: Counter
        private let failed = Monitor<[String: Counter]>([:])

        fileprivate init(_ metrics: DaemonMetrics, _ method: String) {
            self.metrics = metrics
            self.method = method
            duration = metrics.registry.timer("call_duration_seconds", [("method", method)])
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
        registry.counter("calls_total", [("method", method), ("result", result)])
    }

    /// A client or a request that went beyond a limit.
    func countLimit(_ limit: Limits.Name) {
        limits[limit]?.increment()
    }

    /// Counts what the kernel refused; other errors are not counted.
    func countError(_ error: BypassError) {
        guard case .kernelRefused(let operation, let errno, _) = error else { return }
        // Without paths and names, whose number is unbounded: the log has the file's name.
        let all = operation.split(separator: " ")
        let words = all.first == "open" ? "open" : all.filter { !$0.contains("/") }.joined(separator: " ")
        kernelErrors.withLock { counters in
            let key = words + " " + errno
            let counter =
                counters[key] ?? registry.counter("kernel_errors_total", [("operation", words), ("errno", errno)])
            counters[key] = counter
            counter.increment()
        }
    }
}

extension Meter {
    /// NaN for none: no comparison in a query holds for it.
    fileprivate func set(_ time: Timestamp?) { set(time.map { Double($0.secondsSince1970) } ?? .nan) }
}
