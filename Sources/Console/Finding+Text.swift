internal import BypassAPI

extension [Finding] {
    /// A line for each, and what to do below it.
    package func text(_ style: Style) -> String {
        let rows = flatMap { finding in
            [[Cell(finding.level.rawValue, finding.level.color), Cell(finding.check), Cell(finding.message)]]
                + (finding.advice.map { [[Cell(""), Cell(""), Cell("-> " + $0)]] } ?? [])
        }
        return TextTable(rows: rows).text(style)
    }
}

extension Finding.Level {
    fileprivate var color: Style.Color? {
        switch self {
        case .ok: .green
        case .warning, .problem: .yellow
        case .unknown: nil
        }
    }
}
