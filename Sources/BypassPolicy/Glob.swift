internal import Bypass

/// A pattern for names and paths: `*` is any run of characters and `?` any one, `[a-c]` one of these and `[!a]` one that
/// is not; a backslash takes the meaning from what follows. None of them stands for a slash. Case counts, and the
/// pattern has to match the whole text.
package struct Glob: Hashable, Sendable {
    /// The fault of a malformed pattern.
    package struct Malformed: Error, Hashable, Sendable, CustomStringConvertible {
        package let description: String
    }

    enum Piece: Hashable, Sendable {
        case one(Unicode.Scalar)
        case any
        case oneOf([ClosedRange<Unicode.Scalar>], negated: Bool)
        case run
    }

    /// As it was written.
    package let pattern: String
    private let pieces: [Piece]

    package init(_ pattern: String) throws(Malformed) {
        guard !pattern.isEmpty else { throw Malformed(description: "it is empty") }
        var parser = GlobParser(pattern)
        self.pattern = pattern
        pieces = try parser.pieces()
    }

    package func matches(_ text: String) -> Bool {
        let scalars = Array(text.unicodeScalars)
        var (position, piece) = (0, 0)
        // Where the last run began, and the piece behind it. On a mismatch that run takes one character more. To give
        // more to an earlier run never helps: what is between the two was found as early as can be, and since only a
        // slash of the pattern stands for one, no run can reach into another part of a path. So the time is at most
        // the product of the two lengths.
        var last: (start: Int, next: Int)?
        while position < scalars.count || piece < pieces.count {
            if piece < pieces.count, pieces[piece] == .run {
                piece += 1
                last = (position, piece)
            } else if piece < pieces.count, position < scalars.count, pieces[piece].matches(scalars[position]) {
                position += 1
                piece += 1
            } else if let run = last, run.start < scalars.count, scalars[run.start] != "/" {
                position = run.start + 1
                piece = run.next
                last = (position, piece)
            } else {
                return false
            }
        }
        return true
    }
}

extension Glob: CustomStringConvertible {
    package var description: String { pattern.printable }
}

extension Glob.Piece {
    fileprivate func matches(_ scalar: Unicode.Scalar) -> Bool {
        switch self {
        case .one(let wanted): scalar == wanted
        case .any: scalar != "/"
        case .oneOf(let ranges, let negated): scalar != "/" && ranges.contains { $0.contains(scalar) } != negated
        case .run: false
        }
    }
}
