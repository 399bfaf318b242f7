internal import BypassAPI

/// The bypass of one namespace as a block of keys and values, what matters most first, and the warnings below it.
///
/// - Parameter changed: Whether the call that gave it changed anything; nil of a call that only looks.
func describe(_ bypass: BypassStatus, changed: Bool?, _ style: Style) -> String {
    var rows: [[Cell]] = []
    func add(_ key: String, _ value: String?, _ color: Style.Color? = nil) {
        if let value { rows.append([Cell(key + ":"), Cell(value, color)]) }
    }
    add("state", bypass.state.rawValue + (changed == false ? " (unchanged)" : ""), bypass.state.color)
    let isWanted = bypass.state != .off
    // While off there is nothing to have an effect, and a "no" would look like a fault.
    if isWanted {
        add(
            "effective",
            bypass.effective ? "yes" : "no, some traffic still goes to the sidecar: see the warnings",
            bypass.effective ? nil : .yellow)
    }
    add("namespace", "\(bypass.netns) (inode \(bypass.inode))")
    add("direction", bypass.direction?.rawValue)
    add("since", bypass.since.map { "\($0) (\(elapsed(since: $0, now: style.now)))" })
    let expiry = bypass.expiresAt.map { "\($0) (\(remaining(until: $0, now: style.now)))" }
    add("expires", expiry ?? (isWanted ? "never" : nil))
    add("owner", bypass.owner)
    add("reason", bypass.reason)
    add("set by", bypass.setBy.map { "uid \($0.uid), gid \($0.gid), pid \($0.pid)" })
    for (position, rule) in bypass.rules.enumerated() {
        let text =
            "\(rule.family) \(rule.table) \(rule.chain) handle \(rule.handle): "
            + "packets \(rule.packets), bytes \(rule.bytes)"
        rows.append([Cell(position == 0 ? "rules:" : ""), Cell(text)])
    }
    return Table(rows: rows).text(style) + bypass.warnings.map { style.warning($0) }.joined()
}
