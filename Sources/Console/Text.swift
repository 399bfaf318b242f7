internal import Bypass
package import BypassAPI

/// The style of output for people.
package struct Style: Sendable {
    package enum Color: Int, Sendable {
        case bold = 1
        case green = 32
        case yellow = 33
    }

    package var isColored: Bool
    /// For times that are shown relative to the present.
    package var now: Timestamp
    /// The most columns of a table; nil for as many as it needs.
    package var width: Int?

    package init(isColored: Bool, now: Timestamp, width: Int? = nil) {
        self.isColored = isColored
        self.now = now
        self.width = width
    }

    /// Colors are for terminals, unless NO_COLOR is set (no-color.org) or the terminal has none. What is not for a terminal
    /// is shown as a whole.
    package static var ofStandardOutput: Style {
        let isColored =
            Console.isOutputTerminal && Console.environment("NO_COLOR") == nil && Console.environment("TERM") != "dumb"
        return Style(isColored: isColored, now: Console.now, width: Console.outputWidth)
    }

    package func paint(_ text: String, _ color: Color?) -> String {
        guard isColored, let color else { return text }
        return "\u{1B}[\(color.rawValue)m\(text)\u{1B}[0m"
    }
}

/// A piece of a table, fit for a terminal whatever it was made from.
package struct Cell {
    package let text: String
    package let color: Style.Color?

    package init(_ text: String, _ color: Style.Color? = nil) {
        self.text = text.printable
        self.color = color
    }
}

/// Rows with aligned columns.
package struct TextTable {
    package var rows: [[Cell]]
    /// The columns that are cut where the table is wider than the terminal, the least important first.
    package var cuttable: [Int]

    package init(rows: [[Cell]], cuttable: [Int] = []) {
        self.rows = rows
        self.cuttable = cuttable
    }

    /// Between two columns.
    private static let gap = 2
    /// No column is cut further, as long as there is another one to cut.
    private static let minWidth = 10

    /// The rows as lines. The last cell of a row is not padded, so no line ends in blanks.
    package func text(_ style: Style) -> String {
        let widths = widths(fitting: style.width)
        return rows.map { row in
            var line = ""
            for (column, cell) in row.enumerated() {
                let text = cell.text.fitting(widths[column])
                // Padding goes by what is seen, so it stays outside the color.
                line += style.paint(text, cell.color)
                if column < row.count - 1 {
                    line += String(repeating: " ", count: widths[column] - text.columns + Self.gap)
                }
            }
            return line + "\n"
        }.joined()
    }

    private func widths(fitting limit: Int?) -> [Int] {
        var widths: [Int] = []
        for row in rows {
            for (column, cell) in row.enumerated() {
                if column == widths.count { widths.append(0) }
                widths[column] = max(widths[column], cell.text.columns)
            }
        }
        guard let limit else { return widths }
        var excess = widths.reduce(0, +) + Self.gap * (widths.count - 1) - limit
        for least in [Self.minWidth, 1] {
            for column in cuttable where excess > 0 && column < widths.count {
                let cut = min(excess, max(0, widths[column] - least))
                widths[column] -= cut
                excess -= cut
            }
        }
        return widths
    }
}

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
