extension JSONScanner {
    /// Reads a string whose opening quote comes next. One without escapes, the rule, is copied in one piece.
    mutating func string(_ bytes: Span<UInt8>) throws(JSONReadError) -> String {
        offset += 1
        let start = offset
        try skipPlainText(bytes)
        if bytes[offset] == UInt8(ascii: "\"") {
            let end = offset
            offset += 1
            return try text(bytes, start..<end)
        }
        var result = try text(bytes, start..<offset)
        while bytes[offset] == UInt8(ascii: "\\") {
            result.unicodeScalars.append(try escape(bytes))
            let run = offset
            try skipPlainText(bytes)
            result += try text(bytes, run..<offset)
        }
        offset += 1
        return result
    }

    /// Moves to the next quote or backslash of a string.
    private mutating func skipPlainText(_ bytes: Span<UInt8>) throws(JSONReadError) {
        var position = offset + bytes.plainLength(from: offset)
        while position < bytes.count {
            let byte = bytes[position]
            if byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "\\") {
                offset = position
                return
            }
            guard byte >= 0x20 else {
                offset = position
                throw malformed("a string holds a raw control character")
            }
            position += 1
        }
        offset = position
        throw malformed("a string is not closed")
    }

    /// A copy of the bytes of `range`. Bytes outside strings are ASCII by the grammar, so that this is the one place
    /// where UTF-8 has to be checked.
    func text(_ bytes: Span<UInt8>, _ range: Range<Int>) throws(JSONReadError) -> String {
        do {
            return String(copying: try UTF8Span(validating: bytes.extracting(range)))
        } catch {
            throw .malformed(reason: "a string is not UTF-8", offset: range.lowerBound + error.byteOffsets.lowerBound)
        }
    }

    private mutating func escape(_ bytes: Span<UInt8>) throws(JSONReadError) -> Unicode.Scalar {
        let start = offset
        offset += 1
        guard let selector = peek(bytes) else { throw malformed("a string is not closed") }
        offset += 1
        switch selector {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): return Unicode.Scalar(selector)
        case UInt8(ascii: "b"): return "\u{8}"
        case UInt8(ascii: "f"): return "\u{C}"
        case UInt8(ascii: "n"): return "\n"
        case UInt8(ascii: "r"): return "\r"
        case UInt8(ascii: "t"): return "\t"
        case UInt8(ascii: "u"): break
        default: throw .malformed(reason: "a string has an unknown escape", offset: start)
        }
        let unit = try hexadecimal(bytes)
        if let scalar = Unicode.Scalar(UInt32(unit)) { return scalar }
        guard UTF16.isLeadSurrogate(unit), peek(bytes) == UInt8(ascii: "\\"), offset + 1 < bytes.count,
            bytes[offset + 1] == UInt8(ascii: "u")
        else { throw .malformed(reason: "a string has a lone surrogate", offset: start) }
        offset += 2
        let trail = try hexadecimal(bytes)
        guard UTF16.isTrailSurrogate(trail),
            let scalar = Unicode.Scalar(0x10000 + (UInt32(unit & 0x3FF) << 10 | UInt32(trail & 0x3FF)))
        else { throw .malformed(reason: "a string has a lone surrogate", offset: start) }
        return scalar
    }

    private mutating func hexadecimal(_ bytes: Span<UInt8>) throws(JSONReadError) -> UInt16 {
        var unit: UInt16 = 0
        for _ in 0..<4 {
            guard let byte = peek(bytes), let digit = Character(Unicode.Scalar(byte)).hexDigitValue else {
                throw malformed("an escape lacks a hexadecimal digit")
            }
            unit = unit << 4 | UInt16(digit)
            offset += 1
        }
        return unit
    }
}
