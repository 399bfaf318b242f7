package import CoreMetrics
internal import Synchronization

/// A backend of swift-metrics that keeps what is counted, for Prometheus to fetch.
///
/// A metric's label is its name in Prometheus, as it is. Timers become histograms in seconds.
package final class PrometheusFactory: MetricsFactory {
    /// The values of one name with one set of labels.
    enum Series: Sendable {
        case counter(Count)
        case gauge(Gauge)
        case histogram(Histogram)
    }

    private let help: [String: String]
    /// By name, and then by labels as they are written.
    private let families = Mutex<[String: [String: Series]]>([:])

    /// - Parameter help: what each metric is about, by name; the others are written without help.
    package init(help: [String: String] = [:]) {
        self.help = help
    }

    // MARK: swift-metrics

    package func makeCounter(label: String, dimensions: [(String, String)]) -> any CounterHandler {
        let series = series(label, dimensions) { .counter(Count()) }
        guard case .counter(let count) = series else { preconditionFailure("\(label) is not a counter") }
        return count
    }

    package func makeRecorder(
        label: String, dimensions: [(String, String)], aggregate: Bool
    ) -> any RecorderHandler {
        precondition(!aggregate, "\(label): what is to be aggregated is a timer here")
        return gauge(label, dimensions)
    }

    package func makeMeter(label: String, dimensions: [(String, String)]) -> any MeterHandler {
        gauge(label, dimensions)
    }

    package func makeTimer(label: String, dimensions: [(String, String)]) -> any TimerHandler {
        let series = series(label, dimensions) { .histogram(Histogram()) }
        guard case .histogram(let histogram) = series else { preconditionFailure("\(label) is not a timer") }
        return histogram
    }

    package func destroyCounter(_ handler: any CounterHandler) {}
    package func destroyRecorder(_ handler: any RecorderHandler) {}
    package func destroyMeter(_ handler: any MeterHandler) {}
    package func destroyTimer(_ handler: any TimerHandler) {}

    private func gauge(_ label: String, _ dimensions: [(String, String)]) -> Gauge {
        let series = series(label, dimensions) { .gauge(Gauge()) }
        guard case .gauge(let gauge) = series else { preconditionFailure("\(label) is not a gauge") }
        return gauge
    }

    /// The existing one, or a new one. A series is kept for ever: a counter that vanishes and starts
    /// again would give a wrong rate.
    private func series(
        _ label: String, _ dimensions: [(String, String)], _ make: () -> Series
    ) -> Series {
        let labels = Exposition.labels(dimensions)
        return families.withLock { families in
            if let series = families[label]?[labels] { return series }
            let series = make()
            families[label, default: [:]][labels] = series
            return series
        }
    }

    // MARK: Prometheus

    /// Everything in Prometheus' text format, by name and labels.
    package var text: String {
        let families = families.withLock(\.self)
        var exposition = Exposition()
        for (name, all) in families.sorted(by: { $0.key < $1.key }) {
            // Without histograms of nothing, which have many series.
            let series = all.filter { !$0.value.isEmpty }
            if series.isEmpty { continue }
            exposition.begin(name, help: help[name], series.first?.value.type ?? "untyped")
            for (labels, series) in series.sorted(by: { $0.key < $1.key }) {
                switch series {
                case .counter(let count): exposition.add(name, labels, "\(count.value)")
                case .gauge(let gauge): exposition.add(name, labels, Exposition.number(gauge.value))
                case .histogram(let histogram): exposition.add(name, labels, histogram.snapshot)
                }
            }
        }
        return exposition.text
    }
}

extension PrometheusFactory.Series {
    fileprivate var isEmpty: Bool {
        if case .histogram(let histogram) = self { histogram.snapshot.counts.allSatisfy { $0 == 0 } } else { false }
    }

    fileprivate var type: String {
        switch self {
        case .counter: "counter"
        case .gauge: "gauge"
        case .histogram: "histogram"
        }
    }
}
