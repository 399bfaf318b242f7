internal import Bypass
internal import BypassAPI
internal import Console

/// Bypasses as a table, with the warnings below it.
///
/// - Parameter isWide: Whether to show all columns, however wide the terminal is.
func bypassTable(
    _ bypasses: [BypassStatus], isWide: Bool = false, _ style: Style, accounts: Accounts = .ofThisMachine
) -> String {
    guard !bypasses.isEmpty else { return "no namespace is bypassed\n" }
    var style = style
    if isWide { style.width = nil }
    let columns = isWide ? Column.allCases : Column.usual
    let rows = bypasses.map { bypass in columns.map { $0.cell(of: bypass, style, accounts) } }
    let cuttable = [.reason, .owner, .direction, .state, .left, .netns].compactMap { columns.firstIndex(of: $0) }
    let table = TextTable(rows: [columns.map { Cell($0.rawValue, .bold) }] + rows, cuttable: cuttable)
    return table.text(style) + warnings(of: bypasses, style)
}

private enum Column: String, CaseIterable {
    case netns = "NETNS"
    case inode = "INODE"
    case state = "STATE"
    case direction = "DIRECTION"
    case since = "SINCE"
    case left = "LEFT"
    case setBy = "SET BY"
    case owner = "OWNER"
    case reason = "REASON"

    static let usual: [Column] = [.netns, .state, .direction, .left, .owner, .reason]

    func cell(of bypass: BypassStatus, _ style: Style, _ accounts: Accounts) -> Cell {
        switch self {
        case .netns: Cell(bypass.netns)
        case .inode: Cell("\(bypass.inode)")
        case .state:
            bypass.effective && bypass.effect != .nothingToBypass
                ? Cell(bypass.state.rawValue, bypass.state.color)
                : Cell("\(bypass.state.rawValue), effective: \(bypass.effectWord)", bypass.effectColor)
        case .direction: Cell(bypass.directionAndScope ?? "-")
        case .since: Cell(bypass.since?.description ?? "-")
        case .left:
            Cell(
                bypass.expiresAt.map { spell(seconds: max(0, $0.secondsSince1970 - style.now.secondsSince1970)) }
                    ?? "never")
        case .setBy: Cell(bypass.setBy.map { accounts.name($0.uid) ?? "\($0.uid)" } ?? "-")
        case .owner: Cell(bypass.owner ?? "-")
        case .reason: Cell(bypass.reason ?? "-")
        }
    }
}

/// A line for each warning, with the namespaces that it is about.
private func warnings(of bypasses: [BypassStatus], _ style: Style) -> String {
    let found = bypasses.flatMap { bypass in bypass.warnings.map { (warning: $0, netns: bypass.netns) } }
    return grouped(found.map { ($0.warning, $0.netns) }).map { warning, names in
        style.warning(warning, about: enumeration(of: names))
    }.joined()
}
