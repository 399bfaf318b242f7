internal import Bypass

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
