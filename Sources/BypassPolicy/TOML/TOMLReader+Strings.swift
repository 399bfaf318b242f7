internal import Bypass

extension TOMLReader {
    /// A string in quotes, with escapes, or in apostrophes, without; it ends in the line in which it begins.
    mutating func readString() throws(Diagnostic) -> String {
        let delimiter = bytes[position]
        if bytes[position...].starts(with: [delimiter, delimiter, delimiter]) {
            throw Diagnostic(line, "multi-line strings are not supported")
        }
        position += 1
        var text: [UInt8] = []
        while bytes[position] != delimiter {
            let byte = bytes[position]
            if byte == .lineFeed || isAtLongLineEnd {
                throw Diagnostic(line, "the quotes are not closed at the end of the line")
            }
            guard !byte.isControl else {
                throw Diagnostic(line, "a string holds \(shown): in \" \" it can be written as an escape")
            }
            position += 1
            if byte == .backslash, delimiter == .quote {
                text += Array(String(try readEscape()).utf8)
            } else {
                text.append(byte)
            }
        }
        position += 1
        return String(decoding: text, as: UTF8.self)
    }

    /// The escape after a backslash.
    private mutating func readEscape() throws(Diagnostic) -> Unicode.Scalar {
        let letter = bytes[position]
        switch letter {
        case UInt8(ascii: "u"): return try readScalarNumber(digits: 4)
        case UInt8(ascii: "U"): return try readScalarNumber(digits: 8)
        default: break
        }
        guard let scalar = Self.escapes[letter] else {
            throw Diagnostic(line, "a backslash before \(shown) is not an escape; write \\\\ for a backslash itself")
        }
        position += 1
        return scalar
    }

    private static let escapes: [UInt8: Unicode.Scalar] = [
        UInt8(ascii: "b"): "\u{8}", UInt8(ascii: "t"): "\t", UInt8(ascii: "n"): "\n", UInt8(ascii: "f"): "\u{C}",
        UInt8(ascii: "r"): "\r", .quote: "\"", .backslash: "\\",
    ]

    private mutating func readScalarNumber(digits: Int) throws(Diagnostic) -> Unicode.Scalar {
        let start = position
        position += 1
        var value: UInt32 = 0
        for _ in 0..<digits {
            guard let digit = Character(Unicode.Scalar(bytes[position])).hexDigitValue else {
                throw Diagnostic(line, "\\\(Unicode.Scalar(bytes[start])) takes \(digits) hexadecimal digits")
            }
            value = value << 4 | UInt32(digit)
            position += 1
        }
        guard let scalar = Unicode.Scalar(value) else {
            throw Diagnostic(line, "U+\(String(value, radix: 16, uppercase: true)) is not a character")
        }
        return scalar
    }
}
