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
