internal import Bypass
internal import BypassAPI
internal import Console
internal import PodBypass

extension PodReport {
    /// Whether connections go to the sidecar that should not, or the other way round.
    var isNotEffective: Bool {
        reported?.state == .offNotEffective || isAsked && reported?.isEffective == false
    }

    private var color: Style.Color? {
        switch reported?.isEffective {
        case true: .green
        case false: .yellow
        case nil: nil
        }
    }

    /// Keys and values, the most important first.
    func block(_ style: Style) -> String {
        var rows: [[Cell]] = []
        func add(_ key: String, _ value: String?, _ color: Style.Color? = nil) {
            if let value { rows.append([Cell(key + ":"), Cell(value, color)]) }
        }
        add("pod", fullName + (node.map { " on node \($0)" } ?? ""), .bold)
        add("status", words, color)
        add("expires", reported?.until.map { "\($0) (\(remaining(until: $0, now: style.now)))" })
        guard isAsked else { return TextTable(rows: rows).text(style) }
        add("only", scope)
        add("set by", setBy)
        add("since", setAt.map { "\($0) (\(elapsed(since: $0, now: style.now)))" })
        add("reason", reason)
        return TextTable(rows: rows).text(style)
    }
}

extension [PodReport] {
    /// A table, and below it what has to be done about pods that no controller reports on.
    func table(withNamespaces: Bool, _ style: Style) -> String {
        let names = (withNamespaces ? ["NAMESPACE"] : []) + ["POD", "STATUS", "SINCE", "LEFT", "BY", "REASON"]
        let rows = map { pod in
            (withNamespaces ? [Cell(pod.namespace)] : []) + pod.cells(style)
        }
        let cuttable = ["REASON", "BY", "STATUS", "POD"].compactMap { names.firstIndex(of: $0) }
        let table = TextTable(rows: [names.map { Cell($0, .bold) }] + rows, cuttable: cuttable).text(style)
        let silent = Set(filter { $0.status == nil }.compactMap(\.node)).sorted()
        if silent.isEmpty { return table }
        return table + "no controller has reported on some: does kmesh-bypass-controller run on "
            + silent.map(\.printable).joined(separator: ", ") + "?\n"
    }
}

extension PodReport {
    fileprivate func cells(_ style: Style) -> [Cell] {
        let left = reported?.until.map {
            spell(seconds: Swift.max(0, $0.secondsSince1970 - style.now.secondsSince1970))
        }
        // The end has a column of its own.
        let status = status.map { status in
            reported?.until.map { status.replacing("; until \($0)", with: "").replacing(" until \($0)", with: "") }
                ?? status
        }
        return [
            Cell(name), Cell(status ?? "-", color), Cell(setAt.map { elapsed(since: $0, now: style.now) } ?? "-"),
            Cell(left ?? "-"), Cell(setBy ?? "-"), Cell(reason ?? "-"),
        ]
    }
}
