internal import ArgumentParser
internal import BypassAPI

/// `list`
struct List: DaemonCommand {
    typealias Method = ListMethod

    static let configuration = CommandConfiguration(
        abstract: "List the network namespaces that are bypassed.",
        discussion: "Warnings stand below the table, each with the namespace that it is about.")

    @OptionGroup var common: CommonOptions

    var parameters: NoParameters { .init() }

    func text(of result: ListMethod.Result, _ style: Style) -> String {
        guard !result.bypasses.isEmpty else { return "no namespace is bypassed\n" }
        let titles = ["NETNS", "INODE", "STATE", "EFFECTIVE", "DIRECTION", "SINCE", "EXPIRES", "OWNER"]
        let table = Table(rows: [titles.map { Cell($0, .bold) }] + result.bypasses.map { row($0, style) })
        let warnings = result.bypasses.flatMap { bypass in
            bypass.warnings.map { style.warning($0, about: bypass.netns) }
        }
        return table.text(style) + warnings.joined()
    }

    private func row(_ bypass: BypassStatus, _ style: Style) -> [Cell] {
        [
            Cell(bypass.netns),
            Cell("\(bypass.inode)"),
            Cell(bypass.state.rawValue, bypass.state.color),
            Cell(bypass.effective ? "yes" : "no", bypass.effective ? nil : .yellow),
            Cell(bypass.direction?.rawValue ?? "-"),
            Cell(bypass.since?.description ?? "-"),
            Cell(bypass.expiresAt.map { remaining(until: $0, now: style.now) } ?? "never"),
            Cell(bypass.owner ?? "-"),
        ]
    }
}
