internal import Bypass

/// Reads a glob's pattern. What shells and other programs understand in different ways is refused, so that no one is
/// granted more or less than was meant.
struct GlobParser {
    private var rest: Substring.UnicodeScalarView

    init(_ pattern: String) {
        rest = pattern[...].unicodeScalars
    }

    mutating func pieces() throws(Glob.Malformed) -> [Glob.Piece] {
        var pieces: [Glob.Piece] = []
        while let scalar = rest.popFirst() {
            switch scalar {
            case "*":
                if rest.first == "*" { throw malformed("** is not supported: * matches all characters but slashes") }
                pieces.append(.run)
            case "?": pieces.append(.any)
            case "[": pieces.append(try oneOf())
            case "\\": pieces.append(.one(try quoted()))
            default: pieces.append(.one(scalar))
            }
        }
        return pieces
    }

    private mutating func quoted() throws(Glob.Malformed) -> Unicode.Scalar {
        guard let scalar = rest.popFirst() else { throw malformed("there is nothing after the backslash at its end") }
        return scalar
    }

    /// The class in brackets, the first of which has been read.
    private mutating func oneOf() throws(Glob.Malformed) -> Glob.Piece {
        if rest.first == "^" { throw malformed("[^ is not supported: begin with [! for all but these, or with [\\^") }
        let negated = rest.first == "!"
        if negated { rest.removeFirst() }
        var ranges: [ClosedRange<Unicode.Scalar>] = []
        while let low = try member(isFirst: ranges.isEmpty) {
            var high = low
            // A dash before the closing bracket is a dash.
            if rest.first == "-", rest.dropFirst().first != "]" {
                rest.removeFirst()
                guard let end = try member(isFirst: false) else { throw unclosed }
                high = end
            }
            guard low <= high else {
                throw malformed("the range \(low)-\(high) is empty: the lower end comes first".printable)
            }
            ranges.append(low...high)
        }
        return .oneOf(ranges, negated: negated)
    }

    /// nil at the closing bracket.
    private mutating func member(isFirst: Bool) throws(Glob.Malformed) -> Unicode.Scalar? {
        guard let scalar = rest.popFirst() else { throw unclosed }
        switch scalar {
        case "]" where !isFirst: return nil
        case "/": throw malformed("a slash cannot be in brackets")
        case "[" where rest.first == ":" || rest.first == "." || rest.first == "=":
            throw malformed("named classes, such as [:digit:], are not supported: write [0-9]")
        case "\\": return try quoted()
        default: return scalar
        }
    }

    private var unclosed: Glob.Malformed { malformed("a [ is not closed") }

    private func malformed(_ description: String) -> Glob.Malformed {
        Glob.Malformed(description: description)
    }
}
