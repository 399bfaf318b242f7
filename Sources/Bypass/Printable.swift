extension String {
    /// The text with all that a terminal would act on, or that would not be seen, shown as an escape.
    ///
    /// Owners, reasons and names are what clients once sent to the daemon. Control characters would let a client write
    /// to a reader's screen, or forge a line of a log; marks of direction would let one text pass for another.
    package var printable: String {
        guard unicodeScalars.contains(where: \.needsEscape) else { return self }
        var result = ""
        for scalar in unicodeScalars {
            switch scalar {
            case "\\": result += "\\\\"
            case "\n": result += "\\n"
            case "\r": result += "\\r"
            case "\t": result += "\\t"
            case _ where scalar.needsEscape: result += "\\u{\(String(scalar.value, radix: 16))}"
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result
    }

    /// The text between quotes, printable, and with no quote in it that could be taken for the end.
    package var quoted: String {
        "\"" + printable.unicodeScalars.map { $0 == "\"" ? "\\\"" : String($0) }.joined() + "\""
    }

    /// The same, cut where it is long.
    package var excerpt: String { cut.quoted }

    /// A client's text as a part of a sentence: where it could be taken for more of the sentence, it is in quotes, and
    /// where it is long, cut.
    package var asPartOfSentence: String {
        let text = cut
        return text.unicodeScalars.allSatisfy(\.isPlain) && !text.isEmpty ? text : text.quoted
    }

    /// At most so many characters of the text, as ``printable`` shows it; an ellipsis stands for the rest.
    package func printable(upTo limit: Int) -> String { cut(to: limit).printable }

    /// The same between quotes.
    package func quoted(upTo limit: Int) -> String { cut(to: limit).quoted }

    private var cut: String { cut(to: 128) }

    /// The text, or as much of its beginning as is shown in so many characters. An escape is many, so that what a text takes
    /// in an answer is bounded whatever it holds.
    private func cut(to limit: Int) -> String {
        var shown = 0
        var end = startIndex
        for index in unicodeScalars.indices {
            shown += unicodeScalars[index].shownLength
            if shown > limit { return String(self[..<end]) + "…" }
            end = unicodeScalars.index(after: index)
        }
        return self
    }
}

extension Unicode.Scalar {
    /// The characters of namespaces' names and paths.
    fileprivate var isPlain: Bool {
        guard isASCII else { return false }
        return properties.isAlphabetic || ("0"..."9").contains(self) || "/._-:@+".unicodeScalars.contains(self)
    }

    /// The most characters that it takes in ``Swift/String/printable``.
    fileprivate var shownLength: Int {
        if self == "\"" || self == "\\" { return 2 }
        return needsEscape ? "\\u{}".count + String(value, radix: 16).count : 1
    }

    fileprivate var needsEscape: Bool {
        // The backslash too, so that it is not mistaken for an escape.
        if isASCII { return value < 0x20 || value == 0x7F || self == "\\" }
        switch properties.generalCategory {
        case .control, .format, .lineSeparator, .paragraphSeparator, .privateUse, .unassigned: return true
        default: return false
        }
    }
}
