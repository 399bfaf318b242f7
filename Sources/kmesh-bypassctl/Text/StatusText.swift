internal import Bypass
internal import BypassAPI
internal import Console

/// The bypass of one namespace as a block of keys and values, the most important first, and the warnings below it.
///
/// - Parameters:
///   - changed: Whether the call that gave it changed anything; nil of a call that only reads.
///   - ended: How many connections the call ended; nil of a call that ends none.
func describe(_ bypass: BypassStatus, changed: Bool?, ended: Int? = nil, _ style: Style) -> String {
    var rows: [[Cell]] = []
    func add(_ key: String, _ value: String?, _ color: Style.Color? = nil) {
        if let value { rows.append([Cell(key + ":"), Cell(value, color)]) }
    }
    add("state", bypass.state.rawValue + (changed == false ? " (unchanged)" : ""), bypass.state.color)
    let isWanted = bypass.state != .off
    // While off there is nothing to have an effect, and a "no" would look like a fault.
    if isWanted {
        add("effective", bypass.effectWord + bypass.effectRemark, bypass.effectColor)
    }
    add("reset", ended.map { $0 == 1 ? "1 connection ended" : "\($0) connections ended" })
    add("namespace", "\(bypass.netns) (inode \(bypass.inode))")
    add("direction", bypass.direction?.rawValue)
    if bypass.scope != .all { add("scope", "\(bypass.scope)") }
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
    return TextTable(rows: rows).text(style) + bypass.warnings.map { style.warning($0) }.joined()
}

/// Bypasses as a table, with the warnings below it, each with the namespace that it is about.
func bypassTable(_ bypasses: [BypassStatus], _ style: Style) -> String {
    guard !bypasses.isEmpty else { return "no namespace is bypassed\n" }
    let titles = ["NETNS", "INODE", "STATE", "EFFECTIVE", "DIRECTION", "SCOPE", "SINCE", "EXPIRES", "OWNER"]
    let table = TextTable(rows: [titles.map { Cell($0, .bold) }] + bypasses.map { row($0, style) })
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
        Cell(bypass.effectWord, bypass.effectColor),
        Cell(bypass.direction?.rawValue ?? "-"),
        Cell(bypass.scope == .all ? "all" : "\(bypass.scope)"),
        Cell(bypass.since?.description ?? "-"),
        Cell(bypass.expiresAt.map { remaining(until: $0, now: style.now) } ?? "never"),
        Cell(bypass.owner ?? "-"),
    ]
}

extension Style {
    /// A warning as a line of its own.
    func warning(_ warning: BypassStatus.Warning, about netns: String? = nil) -> String {
        let subject = netns.map { "\($0): " } ?? ""
        return paint("warning:", .yellow) + " " + "\(subject)\(warning.message) (\(warning.code))".printable + "\n"
    }
}

extension BypassStatus {
    fileprivate var effectWord: String {
        switch effect {
        case .all: "yes"
        case .partial: "in part"
        case .ineffective: "no"
        case .nothingToBypass: "nothing to bypass"
        // The daemon is of a version that does not say.
        case nil: effective ? "yes" : "no"
        }
    }

    fileprivate var effectRemark: String {
        switch effect {
        case .all: ""
        case .nothingToBypass: ": is it the right namespace?"
        case .partial, .ineffective, nil:
            effective ? "" : ", some traffic still goes to the sidecar: see the warnings"
        }
    }

    fileprivate var effectColor: Style.Color? {
        effective && effect != .nothingToBypass ? nil : .yellow
    }
}

extension BypassStatus.State {
    var color: Style.Color {
        switch self {
        case .on: .green
        case .degraded: .yellow
        case .off: .bold
        }
    }
}

/// A length of time in its two largest units, such as `2h 5m`: more digits only hide the ones that count.
func spell(seconds: Int64) -> String {
    let units: [(name: String, seconds: Int64)] = [("d", 86400), ("h", 3600), ("m", 60), ("s", 1)]
    guard let first = units.firstIndex(where: { seconds >= $0.seconds }) else { return "0s" }
    let large = "\(seconds / units[first].seconds)\(units[first].name)"
    guard first + 1 < units.count else { return large }
    let small = seconds % units[first].seconds / units[first + 1].seconds
    return small == 0 ? large : "\(large) \(small)\(units[first + 1].name)"
}

/// How far away `moment` is, such as `in 14m 32s`.
func remaining(until moment: Timestamp, now: Timestamp) -> String {
    let seconds = moment.secondsSince1970 - now.secondsSince1970
    return seconds > 0 ? "in \(spell(seconds: seconds))" : "now"
}

/// How long ago `moment` was, such as `2h 5m ago`. The clocks of two readings may differ by a step backwards.
func elapsed(since moment: Timestamp, now: Timestamp) -> String {
    "\(spell(seconds: max(0, now.secondsSince1970 - moment.secondsSince1970))) ago"
}
