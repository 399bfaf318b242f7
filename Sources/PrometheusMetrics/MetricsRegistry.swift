package import CoreMetrics

/// The metrics of one program: their names have a common prefix, and one of them, `build_info`, has the program's version
/// and the commit that it was built from.
package struct MetricsRegistry: Sendable {
    private let prefix: String
    private let factory: PrometheusFactory

    /// - Parameter help: what each metric means, by its name without the prefix.
    package init(prefix: String, version: String, commit: String?, help: [String: String]) {
        self.prefix = prefix
        factory = PrometheusFactory(help: Dictionary(uniqueKeysWithValues: help.map { (prefix + $0.key, $0.value) }))
        meter("build_info", [("version", version), ("commit", commit ?? "unknown")]).set(1)
    }

    package func counter(_ name: String, _ labels: [(String, String)] = []) -> Counter {
        Counter(label: prefix + name, dimensions: labels, factory: factory)
    }

    package func meter(_ name: String, _ labels: [(String, String)] = []) -> Meter {
        Meter(label: prefix + name, dimensions: labels, factory: factory)
    }

    package func timer(_ name: String, _ labels: [(String, String)] = []) -> Timer {
        Timer(label: prefix + name, dimensions: labels, factory: factory)
    }

    /// All metrics in Prometheus' text format.
    package var text: String { factory.text }
}
