internal import BypassAPI

extension Engine {
    /// `metrics`: everything that is counted.
    func metrics() -> MetricsMethod.Result {
        MetricsMethod.Result(text: counted.text(bypassed: registry.count))
    }
}
