internal import ArgumentParser
internal import BypassAPI

/// `info`
struct Info: DaemonCommand {
    typealias Method = InfoMethod

    static let configuration = CommandConfiguration(
        abstract: "Tell the daemon's version, and on what it runs.",
        discussion: "'bypassed' counts the namespaces whose bypass is on; 'list' names them.")

    @OptionGroup var common: CommonOptions

    var parameters: NoParameters { .init() }

    func text(of result: InfoMethod.Result, _ style: Style) -> String {
        Table(rows: [
            [Cell("daemon:"), Cell("\(result.name) \(result.version)", .bold)],
            [Cell("protocol:"), Cell("\(result.protocol)")],
            [Cell("kernel:"), Cell(result.kernel)],
            [Cell("uptime:"), Cell(spell(seconds: Int64(result.uptimeSeconds)))],
            [Cell("bypassed:"), Cell("\(result.bypassed)")],
            [Cell("matcher:"), Cell("\(result.matcher.pin), tag \(result.matcher.tag)")],
        ]).text(style)
    }
}
