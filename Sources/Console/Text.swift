internal import Bypass
package import BypassAPI

/// What output for people depends on besides its contents.
package struct Style: Sendable {
    package enum Color: Int, Sendable {
        case bold = 1
        case green = 32
        case yellow = 33
    }

    package var isColored: Bool
    /// For times that are shown relative to the present.
    package var now: Timestamp

    package init(isColored: Bool, now: Timestamp) {
        self.isColored = isColored
        self.now = now
    }

    /// Colors are for terminals, unless NO_COLOR is set (no-color.org).
    package static var ofStandardOutput: Style {
        Style(isColored: Console.isOutputTerminal && Console.environment("NO_COLOR") == nil, now: Console.now)
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

    package init(rows: [[Cell]]) {
        self.rows = rows
    }

    /// The rows as lines. The last cell of a row is not padded, so no line ends in blanks.
    package func text(_ style: Style) -> String {
        var widths: [Int] = []
        for row in rows {
            for (column, cell) in row.enumerated() {
                if column == widths.count { widths.append(0) }
                widths[column] = max(widths[column], cell.text.count)
            }
        }
        return rows.map { row in
            var line = ""
            for (column, cell) in row.enumerated() {
                // Padding goes by what is seen, so it stays outside the color.
                line += style.paint(cell.text, cell.color)
                if column < row.count - 1 {
                    line += String(repeating: " ", count: widths[column] - cell.text.count + 2)
                }
            }
            return line + "\n"
        }.joined()
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
