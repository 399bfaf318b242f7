internal import ArgumentParser
internal import BypassAPI

/// `metrics`
struct Metrics: DaemonCommand {
    typealias Method = MetricsMethod

    static let configuration = CommandConfiguration(
        abstract: "Print what the daemon has counted since it started, as Prometheus reads it.")

    @OptionGroup var common: CommonOptions

    var parameters: NoParameters { .init() }

    func text(of result: MetricsMethod.Result, _ style: Style) -> String { result.text }
}
