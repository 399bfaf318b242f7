internal import ArgumentParser
internal import Bypass
internal import BypassAPI
internal import Console

/// `list`
struct List: DaemonCommand {
    typealias Method = ListMethod

    static let configuration = CommandConfiguration(
        abstract: "List the bypassed network namespaces.",
        discussion: """
            At a terminal, texts that do not fit are cut. Warnings follow below the table, each with the namespaces that it \
            is about.

            EXAMPLES
              kmesh-bypassctl list
              kmesh-bypassctl list --json | jq -r '.bypasses[].netns'
            """)

    @Flag(help: "Show all columns, and cut nothing.")
    var wide = false

    // For shell completion.
    @Flag(help: .private)
    var names = false

    @OptionGroup var common: CommonOptions

    var parameters: NoParameters { .init() }

    func text(of result: ListMethod.Result, _ style: Style) -> String {
        if names { return completions(result.bypasses.map(\.netns)) }
        let warnings = (result.warnings ?? []).map { style.warning($0) }
        return bypassTable(result.bypasses, isWide: wide, style) + warnings.joined()
    }
}

/// `info`
struct Info: DaemonCommand {
    typealias Method = InfoMethod

    static let configuration = CommandConfiguration(
        abstract: "Show the daemon's version and kernel.",
        discussion: """
            'bypassed' counts the namespaces whose bypass is on; 'list' names them.

            EXAMPLE
              kmesh-bypassctl info --json
            """)

    @OptionGroup var common: CommonOptions

    var parameters: NoParameters { .init() }

    func text(of result: InfoMethod.Result, _ style: Style) -> String {
        TextTable(rows: [
            [Cell("daemon:"), Cell("\(result.name) \(result.fullVersion)", .bold)],
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
        abstract: "Print the daemon's metrics in the Prometheus text format.",
        discussion: """
            With --json, the text is a member of an object.

            EXAMPLE
              kmesh-bypassctl metrics | grep kmesh_bypass_calls_total
            """)

    @OptionGroup var common: CommonOptions

    var parameters: NoParameters { .init() }

    func text(of result: MetricsMethod.Result, _ style: Style) -> String { result.text }
}
