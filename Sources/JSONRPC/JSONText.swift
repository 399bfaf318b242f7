/// JSON being written.
///
/// Everything this module sends passes here, so this is where it is ensured that no control character, of the C0 or
/// the C1 set, and no Unicode line separator leaves as itself: output may end up on a terminal. An array takes the
/// many small pieces of a text several times faster than a `ByteBuffer`; the bytes are copied to one at the end.
struct JSONText: Sendable {
    private(set) var bytes: [UInt8] = []

    init() {
        // Most messages fit, and so are written without growing the array on the way.
        bytes.reserveCapacity(512)
    }

    var count: Int { bytes.count }

    mutating func append(ascii character: Unicode.Scalar) {
        bytes.append(UInt8(ascii: character))
    }

    /// Appends what is JSON already.
    mutating func append(verbatim text: String) {
        bytes.append(contentsOf: text.utf8)
    }

    mutating func append(_ text: JSONText) {
        bytes.append(contentsOf: text.bytes)
    }

    mutating func append(_ flag: Bool) {
        append(verbatim: flag ? "true" : "false")
    }

    mutating func append(_ integer: some FixedWidthInteger) {
        append(verbatim: String(integer))
    }

    mutating func append(_ value: JSONValue) {
        switch value {
        case .null: append(verbatim: "null")
        case .bool(let flag): append(flag)
        case .number(let number): append(verbatim: number.text)
        case .string(let text): append(text)
        case .array(let elements):
            append(ascii: "[")
            for (position, element) in elements.enumerated() {
                if position > 0 { append(ascii: ",") }
                append(element)
            }
            append(ascii: "]")
        case .object(let object):
            append(ascii: "{")
            for (position, member) in object.members.enumerated() {
                if position > 0 { append(ascii: ",") }
                append(key: member.key)
                append(member.value)
            }
            append(ascii: "}")
        }
    }

    /// Appends the key of a member and its colon.
    mutating func append(key: String) {
        append(key)
        append(ascii: ":")
    }

    /// Appends a string, in quotes and escaped.
    mutating func append(_ text: String) {
        append(ascii: "\"")
        let source = text.utf8Span.span
        var position = 0
        while position < source.count, escapedLength(source, at: position) == 0 { position += 1 }
        if position == source.count { append(verbatim: text) } else { appendEscaping(text) }
        append(ascii: "\"")
    }

    /// Appends the inside of a string that has something to escape.
    private mutating func appendEscaping(_ text: String) {
        let source = text.utf8Span.span
        var position = 0
        while position < source.count {
            let length = escapedLength(source, at: position)
            if length == 0 {
                bytes.append(source[position])
                position += 1
            } else {
                appendEscape(source, of: position..<position + length)
                position += length
            }
        }
    }

    private mutating func appendEscape(_ source: Span<UInt8>, of range: Range<Int>) {
        append(ascii: "\\")
        let first = source[range.lowerBound]
        switch first {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"): bytes.append(first)
        case UInt8(ascii: "\n"): append(ascii: "n")
        case UInt8(ascii: "\r"): append(ascii: "r")
        case UInt8(ascii: "\t"): append(ascii: "t")
        default:
            // Of the scalars escaped, those of two bytes have their value in the second; those of three are U+2028/9.
            let last = source[range.upperBound - 1]
            let scalar = range.count == 3 ? 0x2000 | UInt16(last & 0x3F) : UInt16(last)
            append(ascii: "u")
            for shift in stride(from: 12, through: 0, by: -4) {
                let digit = UInt8(truncatingIfNeeded: scalar >> shift) & 0xF
                bytes.append(digit < 10 ? UInt8(ascii: "0") + digit : UInt8(ascii: "a") + digit - 10)
            }
        }
    }
}

/// How many bytes at `position` make a scalar that must be escaped: 0 when what stands there is written as it is.
@inline(__always)
private func escapedLength(_ bytes: Span<UInt8>, at position: Int) -> Int {
    switch bytes[position] {
    case 0..<0x20, UInt8(ascii: "\""), UInt8(ascii: "\\"), 0x7F: 1
    // U+0080 to U+009F.
    case 0xC2: bytes[position + 1] < 0xA0 ? 2 : 0
    // U+2028 and U+2029.
    case 0xE2: bytes[position + 1] == 0x80 && bytes[position + 2] & 0xFE == 0xA8 ? 3 : 0
    default: 0
    }
}

/// `text` for use in a message: in quotes, escaped as JSON so that a log or terminal is safe, and cut when it is long,
/// since it is mostly a client's.
func quoted(_ text: String) -> String {
    let limit = 64
    let head = text.unicodeScalars.prefix(limit)
    var result = JSONText()
    result.append(head.endIndex == text.endIndex ? text : String(head) + "…")
    return String(decoding: result.bytes, as: UTF8.self)
}
