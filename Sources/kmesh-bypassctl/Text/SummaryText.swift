internal import Bypass
internal import BypassAPI
internal import Console

/// The daemon, how many namespaces are bypassed, and which need attention: a few lines, however many there are.
func summary(of info: InfoMethod.Result, _ list: ListMethod.Result, _ style: Style) -> String {
    let count = list.bypasses.count
    let concerns = Concern.all(of: list.bypasses)
    var rows = [
        [
            Cell("daemon:"),
            Cell(
                "\(info.name) \(info.version), up \(spell(seconds: Int64(info.uptimeSeconds))), kernel \(info.kernel)"),
        ],
        [Cell("bypassed:"), Cell(count == 1 ? "1 namespace" : "\(count) namespaces")],
    ]
    for (position, (concern, names)) in concerns.enumerated() {
        rows.append([
            Cell(position == 0 ? "attention:" : ""),
            Cell("\(enumeration(of: names)): \(concern.clause)", .yellow),
        ])
    }
    if concerns.isEmpty && count > 0 { rows.append([Cell("attention:"), Cell("none")]) }
    let warnings = (list.warnings ?? []).map { style.warning($0) }
    return TextTable(rows: rows).text(style) + warnings.joined()
}
