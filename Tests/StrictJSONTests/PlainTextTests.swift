import StrictJSON
import Testing

/// Text that needs nothing done is passed eight bytes at a time: what does need something is found wherever it stands.
@Suite struct PlainTextTests {
    @Test("Every byte is written and read as it should be, at every place of a text", arguments: 0..<20)
    func everyByte(_ place: Int) throws {
        for byte in UInt8(0)..<0x80 {
            let text =
                String(repeating: "a", count: place) + String(Unicode.Scalar(byte)) + String(repeating: "b", count: 19)
            let written = String(decoding: JSONText.bytes(of: text), as: UTF8.self)
            let isPlain = byte >= 0x20 && byte != 0x22 && byte != 0x5C && byte != 0x7F
            #expect((written == "\"\(text)\"") == isPlain, "\(byte)")
            #expect(written.unicodeScalars.allSatisfy { (0x20..<0x7F).contains($0.value) }, "\(byte)")
            #expect(try JSONReader.read(written) == .string(text), "\(byte)")
        }
    }

    @Test("A raw control character is refused, at every place of a text", arguments: 0..<20)
    func rawControl(_ place: Int) {
        for byte in UInt8(0)..<0x20 {
            let text =
                String(repeating: "a", count: place) + String(Unicode.Scalar(byte)) + String(repeating: "b", count: 19)
            #expect(
                throws: JSONReadError.malformed(reason: "a string holds a raw control character", offset: place + 1)
            ) {
                try JSONReader.read("\"\(text)\"")
            }
        }
    }

    @Test("What is written of other scalars keeps them or escapes them, at every place", arguments: 0..<20)
    func otherScalars(_ place: Int) throws {
        for scalar: Unicode.Scalar in ["\u{80}", "\u{9F}", "\u{A0}", "é", "\u{2028}", "\u{2029}", "\u{202A}", "😀"] {
            let text = String(repeating: "a", count: place) + String(scalar) + String(repeating: "b", count: 19)
            let written = String(decoding: JSONText.bytes(of: text), as: UTF8.self)
            let isEscaped = scalar.value < 0xA0 || scalar == "\u{2028}" || scalar == "\u{2029}"
            #expect(written.unicodeScalars.contains(scalar) == !isEscaped)
            #expect(try JSONReader.read(written) == .string(text))
        }
    }
}
