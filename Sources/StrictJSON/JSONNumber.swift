/// A JSON number, kept as the text it was written with: nothing is rounded, and what came in can go out unchanged.
public struct JSONNumber: Sendable, Hashable {
    /// The number as written, always in the grammar of RFC 8259.
    public let text: String

    /// For the reader, which has checked the grammar.
    init(checked text: String) {
        self.text = text
    }

    public init(_ value: some FixedWidthInteger) {
        self.text = String(value)
    }

    /// - Returns: nil for NaN and the infinities, which JSON cannot express.
    public init?(_ value: Double) {
        guard value.isFinite else { return nil }
        self.text = value.description
    }

    /// Whether the text is an integer of any size: no fraction and no exponent, so not `1.0` or `1e2`.
    public var isInteger: Bool {
        text.utf8.allSatisfy { $0 == UInt8(ascii: "-") || isDigit($0) }
    }
}

extension FixedWidthInteger {
    /// The value of `number`, when it is written as an integer and in the range of this type. `-0` is 0.
    public init?(exactly number: JSONNumber) {
        // The standard parser takes a sign and digits only, so a fraction or an exponent gives nil.
        self.init(number.text)
    }
}

extension Double {
    /// The double nearest to `number`; nil when its magnitude is beyond the finite ones, as in `1e400`.
    public init?(nearest number: JSONNumber) {
        guard let value = Double(number.text), value.isFinite else { return nil }
        self = value
    }
}

extension JSONNumber: Codable {
    /// Written with its own text by ``JSONEncoding``; any other encoder is given the nearest type it knows.
    public func encode(to encoder: any Encoder) throws {
        if let encoder = encoder as? ValueEncoder { return try encoder.write(self) }
        var container = encoder.singleValueContainer()
        if let value = Int64(exactly: self) {
            try container.encode(value)
        } else if let value = UInt64(exactly: self) {
            try container.encode(value)
        } else if let value = Double(nearest: self) {
            try container.encode(value)
        } else {
            throw EncodingError.invalidValue(
                self, .init(codingPath: encoder.codingPath, debugDescription: "\(text) is beyond the range of Double"))
        }
    }

    /// - Throws: ``JSONDecodingError`` when the value is not a number; `DecodingError` from a decoder of another format.
    public init(from decoder: any Decoder) throws {
        self = try ValueDecoder.require(decoder).number()
    }
}

func isDigit(_ byte: UInt8) -> Bool {
    byte &- UInt8(ascii: "0") < 10
}
