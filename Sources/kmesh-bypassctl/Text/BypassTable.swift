internal import BypassAPI

/// Bypasses as a table, with the warnings below it, each with the namespace that it is about.
func bypassTable(_ bypasses: [BypassStatus], _ style: Style) -> String {
    guard !bypasses.isEmpty else { return "no namespace is bypassed\n" }
    let titles = ["NETNS", "INODE", "STATE", "EFFECTIVE", "DIRECTION", "SINCE", "EXPIRES", "OWNER"]
    let table = Table(rows: [titles.map { Cell($0, .bold) }] + bypasses.map { row($0, style) })
    let warnings = bypasses.flatMap { bypass in
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
