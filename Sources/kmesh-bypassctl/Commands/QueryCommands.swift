internal import ArgumentParser
internal import BypassAPI
internal import Console

/// `status NETNS`
struct Status: DaemonCommand {
    typealias Method = StatusMethod

    static let configuration = CommandConfiguration(
        abstract: "Show whether a network namespace is bypassed, and whether the bypass is effective.",
        discussion: """
            Shows the kernel's current state. 'degraded' means that the bypass is on, but a rule is missing or no longer \
            first: the warnings say which. The exit code is 2 if a bypass is on, and some or all connections still go to the \
            sidecar.
            """)

    @OptionGroup var namespace: NamespaceArgument
    @OptionGroup var common: CommonOptions

    var parameters: StatusMethod.Parameters { .init(netns: namespace.netns) }

    func text(of result: BypassStatus, _ style: Style) -> String {
        describe(result, changed: nil, style)
    }

    func failure(in result: BypassStatus) -> ExitStatus? { ExitStatus(result) }
}

/// `list`
struct List: DaemonCommand {
    typealias Method = ListMethod

    static let configuration = CommandConfiguration(
        abstract: "List the bypassed network namespaces.",
        discussion: "Warnings follow below the table, each with its namespace.")

    @OptionGroup var common: CommonOptions

    var parameters: NoParameters { .init() }

    func text(of result: ListMethod.Result, _ style: Style) -> String {
        let warnings = (result.warnings ?? []).map { "\nwarning: \($0.message)" }
        return bypassTable(result.bypasses, style) + warnings.joined()
    }
}

/// `info`
struct Info: DaemonCommand {
    typealias Method = InfoMethod

    static let configuration = CommandConfiguration(
        abstract: "Show the daemon's version and kernel.",
        discussion: "'bypassed' counts the namespaces whose bypass is on; 'list' names them.")

    @OptionGroup var common: CommonOptions

    var parameters: NoParameters { .init() }

    func text(of result: InfoMethod.Result, _ style: Style) -> String {
        TextTable(rows: [
            [Cell("daemon:"), Cell("\(result.name) \(result.version)", .bold)],
            [Cell("protocol:"), Cell("\(result.protocol)")],
            [Cell("kernel:"), Cell(result.kernel)],
            [Cell("uptime:"), Cell(spell(seconds: Int64(result.uptimeSeconds)))],
            [Cell("bypassed:"), Cell("\(result.bypassed)")],
            [Cell("matcher:"), Cell("\(result.matcher.pin), tag \(result.matcher.tag)")],
        ]).text(style)
    }
}

/// `metrics`
struct Metrics: DaemonCommand {
    typealias Method = MetricsMethod

    static let configuration = CommandConfiguration(
        abstract: "Print the daemon's metrics in the Prometheus text format.")

    @OptionGroup var common: CommonOptions

    var parameters: NoParameters { .init() }

    func text(of result: MetricsMethod.Result, _ style: Style) -> String { result.text }
}
