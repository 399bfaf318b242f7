internal import Bypass
internal import BypassAPI
internal import Console

/// The bypass of one namespace as a block of keys and values, the most important first, and the warnings below it.
///
/// - Parameters:
///   - changed: Whether the call that gave it changed anything; nil of a call that only reads.
///   - ended: How many connections the call ended; nil of a call that ends none.
///   - withRules: Whether to show each rule, with its counters.
func describe(
    _ bypass: BypassStatus, changed: Bool?, ended: Int? = nil, withRules: Bool = false, _ style: Style,
    accounts: Accounts = .ofThisMachine
) -> String {
    var rows: [[Cell]] = []
    func add(_ key: String, _ value: String?, _ color: Style.Color? = nil) {
        if let value { rows.append([Cell(key + ":"), Cell(value, color)]) }
    }
    let since = bypass.since.map { ", since \($0) (\(elapsed(since: $0, now: style.now)))" } ?? ""
    add("state", bypass.state.rawValue + (changed == false ? " (unchanged)" : "") + since, bypass.state.color)
    let isWanted = bypass.state != .off
    // While off there is nothing to have an effect, and a "no" would look like a fault.
    if isWanted {
        add("effective", bypass.effectWord + bypass.effectRemark, bypass.effectColor)
    }
    add("reset", ended.map { $0 == 1 ? "1 connection ended" : "\($0) connections ended" })
    add("namespace", "\(bypass.netns) (inode \(bypass.inode))")
    add("direction", bypass.directionAndScope)
    if isWanted { add("expires", bypass.expiryWords(style)) }
    add("expired", bypass.expired?.words(style))
    add("set by", bypass.attribution(accounts))
    if withRules {
        for (position, rule) in bypass.rules.enumerated() {
            let text =
                "\(rule.family) \(rule.table) \(rule.chain) handle \(rule.handle): "
                + "packets \(rule.packets), bytes \(rule.bytes)"
            rows.append([Cell(position == 0 ? "rules:" : ""), Cell(text)])
        }
    }
    return TextTable(rows: rows).text(style) + bypass.warnings.map { style.warning($0) }.joined()
}

extension BypassStatus {
    /// nil while off.
    var directionAndScope: String? {
        direction.map { $0.rawValue + (scope == .all ? "" : ": \(scope)") }
    }

    fileprivate func expiryWords(_ style: Style) -> String {
        guard let expiresAt else {
            return "never: 'kmesh-bypassctl on \(netns.namespaceArgument.shellWord) --for 15m' makes it expire"
        }
        return "\(expiresAt) (\(remaining(until: expiresAt, now: style.now)))"
    }

    /// The account that turned it on, with owner and reason.
    fileprivate func attribution(_ accounts: Accounts) -> String? {
        let why = [owner, reason].compactMap(\.self).joined(separator: ": ")
        let who = setBy.map { accounts.description(of: $0.uid) }
        if who == nil && why.isEmpty { return nil }
        return (who ?? "unknown") + (owner != nil ? " for " : why.isEmpty ? "" : ": ") + why
    }

    /// How connections fare, in a word or two.
    var effectWord: String {
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

    var effectColor: Style.Color? {
        effective && effect != .nothingToBypass ? nil : .yellow
    }
}

extension BypassStatus.Expired {
    fileprivate func words(_ style: Style) -> String {
        "\(at) (\(elapsed(since: at, now: style.now)))" + (owner.map { ", for \($0)" } ?? "")
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

extension Style {
    /// A warning as a line of its own.
    func warning(_ warning: BypassStatus.Warning, about subject: String? = nil) -> String {
        let subject = subject.map { "\($0): " } ?? ""
        return paint("warning:", .yellow) + " " + "\(subject)\(warning.message) (\(warning.code))".printable + "\n"
    }
}

extension String {
    /// A namespace's name as an argument: one that begins like an option by its path.
    var namespaceArgument: String { hasPrefix("-") ? "/run/netns/" + self : self }

    /// As a shell reads it back as one word.
    var shellWord: String {
        let isPlain =
            !isEmpty
            && utf8.allSatisfy {
                (0x61...0x7a).contains($0) || (0x41...0x5a).contains($0) || (0x30...0x39).contains($0)
                    || "/._-:@+%,=".utf8.contains($0)
            }
        return isPlain
            ? self : "'" + split(separator: "'", omittingEmptySubsequences: false).joined(separator: #"'\''"#) + "'"
    }
}
