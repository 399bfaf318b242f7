internal import Bypass
internal import BypassAPI

/// What the looks of the output depend on besides its contents.
struct Style {
    enum Color: Int {
        case bold = 1
        case green = 32
        case yellow = 33
    }

    var isColored: Bool
    /// For what is told relative to the present.
    var now: Timestamp

    /// Colors are for terminals, and for who has not set NO_COLOR (no-color.org).
    static var ofStandardOutput: Style {
        Style(isColored: Process.isOutputTerminal && Process.environment("NO_COLOR") == nil, now: Process.now)
    }

    func paint(_ text: String, _ color: Color?) -> String {
        guard isColored, let color else { return text }
        return "\u{1B}[\(color.rawValue)m\(text)\u{1B}[0m"
    }

    /// A warning as a line of its own.
    func warning(_ warning: BypassStatus.Warning, about netns: String? = nil) -> String {
        let subject = netns.map { "\($0): " } ?? ""
        return paint("warning:", .yellow) + " " + "\(subject)\(warning.message) (\(warning.code))".printable + "\n"
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
