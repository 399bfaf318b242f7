internal import Bypass

extension TOMLReader {
    mutating func readValue() throws(Diagnostic) -> TOMLDocument.Value {
        guard bytes[position] == .openingBracket else { return try readScalar() }
        let start = line
        return TOMLDocument.Value(line: start, content: .array(try readArray()))
    }

    /// The elements may stand in several lines, with comments between them, and a comma after the last one.
    private mutating func readArray() throws(Diagnostic) -> [TOMLDocument.Value] {
        let start = line
        position += 1
        var elements: [TOMLDocument.Value] = []
        while true {
            try skipBetweenElements(of: start)
            if take(.closingBracket) { return elements }
            if bytes[position] == .openingBracket {
                throw Diagnostic(
                    line, "arrays cannot be nested: is the one of line \(start) closed?")
            }
            elements.append(try readScalar())
            try skipBetweenElements(of: start)
            if take(.closingBracket) { return elements }
            guard take(.comma) else {
                throw Diagnostic(line, "a comma or ] is expected in the array, not \(shown)")
            }
        }
    }

    private mutating func skipBetweenElements(of start: Int) throws(Diagnostic) {
        skipBlanks()
        while bytes[position] == .lineFeed || bytes[position] == .carriageReturn || bytes[position] == .hash {
            try endLine()
            guard position < bytes.count else { throw Diagnostic(start, "the array that begins here is not closed") }
            skipBlanks()
        }
    }

    private mutating func readScalar() throws(Diagnostic) -> TOMLDocument.Value {
        switch bytes[position] {
        case .quote, .apostrophe: return TOMLDocument.Value(line: line, content: .string(try readString()))
        case .openingBrace: throw Diagnostic(line, "inline tables are not supported")
        case .lineFeed, .carriageReturn, .hash: throw Diagnostic(line, "the value is missing")
        default: return TOMLDocument.Value(line: line, content: try readWord())
        }
    }

    /// A number or a boolean.
    private mutating func readWord() throws(Diagnostic) -> TOMLDocument.Value.Content {
        let start = position
        while bytes[position].isBareKey || bytes[position] == .dot || bytes[position] == UInt8(ascii: "+")
            || bytes[position] == UInt8(ascii: ":")
        {
            position += 1
        }
        let word = String(decoding: bytes[start..<position], as: UTF8.self)
        switch word {
        case "true": return .boolean(true)
        case "false": return .boolean(false)
        case "": throw Diagnostic(line, "a value is expected here, not \(shown)")
        default: break
        }
        let digits =
            word.utf8.first == UInt8(ascii: "-") || word.utf8.first == UInt8(ascii: "+")
            ? word.dropFirst() : word[...]
        guard let first = digits.utf8.first, first.isDigit || digits == "inf" || digits == "nan" else {
            throw Diagnostic(line, "\(word.excerpt) is not a value: text needs quotes")
        }
        return .integer(try readInteger(word, digits))
    }

    private func readInteger(_ word: String, _ digits: Substring) throws(Diagnostic) -> Int {
        let (radix, body) = Self.radix(of: digits)
        // A prefix takes no sign, and the number no leading zero.
        let hasSign = digits.utf8.count < word.utf8.count
        let isMarked = radix != 10
        let zeros = !isMarked && body.utf8.first == UInt8(ascii: "0") && body.utf8.count > 1
        let groups = body.utf8.split(separator: UInt8(ascii: "_"), omittingEmptySubsequences: false)
        let isNumber = groups.allSatisfy { !$0.isEmpty && $0.allSatisfy { Self.isDigit($0, radix) } }
        guard isNumber, !zeros, !(isMarked && hasSign) else { throw Diagnostic(line, Self.kind(of: word, digits)) }
        let text = (word.utf8.first == UInt8(ascii: "-") ? "-" : "") + body.filter { $0 != "_" }
        guard let value = Int(text, radix: radix) else {
            throw Diagnostic(line, "\(word.excerpt) is too large a number")
        }
        return value
    }

    private static func radix(of digits: Substring) -> (Int, Substring) {
        switch digits.prefix(2) {
        case "0x": (16, digits.dropFirst(2))
        case "0o": (8, digits.dropFirst(2))
        case "0b": (2, digits.dropFirst(2))
        default: (10, digits)
        }
    }

    private static func isDigit(_ byte: UInt8, _ radix: Int) -> Bool {
        Character(Unicode.Scalar(byte)).hexDigitValue.map { $0 < radix } ?? false
    }

    /// The fault of a word that looks like a number.
    private static func kind(of word: String, _ digits: Substring) -> String {
        let bytes = digits.utf8
        if bytes.contains(UInt8(ascii: ":")) || bytes.count(where: { $0 == UInt8(ascii: "-") }) > 1 {
            return "\(word.excerpt): dates and times are not supported"
        }
        let hasPoint = bytes.contains { $0 == .dot || $0 == UInt8(ascii: "e") || $0 == UInt8(ascii: "E") }
        let isFloat = hasPoint && bytes.allSatisfy { $0.isDigit || "._eE+-".utf8.contains($0) }
        if isFloat || digits == "inf" || digits == "nan" {
            return "\(word.excerpt): decimals and exponents are not supported"
        }
        return "\(word.excerpt) is not a number; text needs quotes"
    }
}
