internal import Linux

extension String {
    /// The number of a terminal's columns that the text takes.
    package var columns: Int { isASCII ? utf8.count : reduce(0) { $0 + $1.columns } }

    /// The text, or as much of its beginning as fits so many columns; an ellipsis stands for the rest.
    package func fitting(_ limit: Int) -> String {
        if columns <= limit { return self }
        var (text, width) = ("", 0)
        for character in self {
            width += character.columns
            // One column is the ellipsis'.
            if width >= limit { break }
            text.append(character)
        }
        return limit > 0 ? text + "…" : ""
    }

    /// The text, or as much of its beginning as has so many bytes.
    package func fitting(bytes limit: Int) -> String {
        if utf8.count <= limit { return self }
        var (text, bytes) = ("", 0)
        for character in self {
            bytes += character.utf8.count
            if bytes > limit { break }
            text.append(character)
        }
        return text
    }

    private var isASCII: Bool { utf8.allSatisfy { $0 < 0x80 } }
}

extension Character {
    fileprivate var columns: Int {
        // An emoji of several scalars is as wide as one: a flag, or one with a skin colour.
        if let first = unicodeScalars.first, first.properties.isEmojiPresentation { return 2 }
        return unicodeScalars.reduce(0) { $0 + Terminal.columns(of: $1) }
    }
}
