/// The decoder of one value, and its own single-value container.
struct ValueDecoder: Decoder, SingleValueDecodingContainer {
    let value: JSONValue
    let unknownMembers: JSONDecoding.UnknownMembers
    private let parentPath: [any CodingKey]
    private let key: (any CodingKey)?

    /// - Parameters:
    ///   - parentPath: The path of the container the value stands in. It is joined to `key` only when asked for, as
    ///     that costs more than decoding a number.
    init(
        value: JSONValue, unknownMembers: JSONDecoding.UnknownMembers,
        parentPath: [any CodingKey] = [], key: (any CodingKey)? = nil
    ) {
        self.value = value
        self.unknownMembers = unknownMembers
        self.parentPath = parentPath
        self.key = key
    }

    /// The decoder as one of this module.
    ///
    /// - Throws: `DecodingError` when it is another format's.
    static func require(_ decoder: any Decoder) throws -> ValueDecoder {
        guard let decoder = decoder as? ValueDecoder else {
            throw DecodingError.dataCorrupted(
                .init(codingPath: decoder.codingPath, debugDescription: "can be decoded by JSONDecoding only"))
        }
        return decoder
    }

    var codingPath: [any CodingKey] { key.map { parentPath + [$0] } ?? parentPath }
    var userInfo: [CodingUserInfoKey: Any] { [:] }

    func container<Key: CodingKey>(keyedBy type: Key.Type) throws -> KeyedDecodingContainer<Key> {
        KeyedDecodingContainer(
            try KeyedReader(object: try object(), unknownMembers: unknownMembers, codingPath: codingPath))
    }

    func unkeyedContainer() throws -> any UnkeyedDecodingContainer {
        UnkeyedReader(elements: try array(), unknownMembers: unknownMembers, codingPath: codingPath)
    }

    func singleValueContainer() -> any SingleValueDecodingContainer { self }

    func decodeNil() -> Bool { value == .null }
    func decode(_ type: Bool.Type) throws -> Bool { try bool() }
    func decode(_ type: String.Type) throws -> String { try string() }
    func decode(_ type: Double.Type) throws -> Double { try double() }
    func decode(_ type: Float.Type) throws -> Float { try float() }
    func decode<Integer: FixedWidthInteger & Decodable>(_ type: Integer.Type) throws -> Integer { try integer() }
    // The standard library's defaults for the 128-bit integers throw.
    func decode(_ type: Int128.Type) throws -> Int128 { try integer() }
    func decode(_ type: UInt128.Type) throws -> UInt128 { try integer() }

    func decode<Value: Decodable>(_ type: Value.Type) throws -> Value {
        do {
            return try Value(from: self)
        } catch DecodingError.dataCorrupted where type is any RawRepresentable.Type {
            // The standard library's message names the Swift type, which means nothing to a client.
            throw mismatch("is not one of the accepted values")
        }
    }
}

/// The value as what a type asks for.
extension ValueDecoder {
    func bool() throws(JSONDecodingError) -> Bool {
        guard case .bool(let flag) = value else { throw mismatch("must be true or false") }
        return flag
    }

    func string() throws(JSONDecodingError) -> String {
        guard case .string(let text) = value else { throw mismatch("must be a string") }
        return text
    }

    func array() throws(JSONDecodingError) -> [JSONValue] {
        guard case .array(let elements) = value else { throw mismatch("must be an array") }
        return elements
    }

    func object() throws(JSONDecodingError) -> JSONObject {
        guard case .object(let object) = value else { throw mismatch("must be an object") }
        return object
    }

    func number() throws(JSONDecodingError) -> JSONNumber {
        guard case .number(let number) = value else { throw mismatch("must be a number") }
        return number
    }

    func double() throws(JSONDecodingError) -> Double {
        guard let value = Double(nearest: try number()) else { throw mismatch("is out of range") }
        return value
    }

    func float() throws(JSONDecodingError) -> Float {
        guard let value = Float(try number().text), value.isFinite else { throw mismatch("is out of range") }
        return value
    }

    func integer<Integer: FixedWidthInteger>() throws(JSONDecodingError) -> Integer {
        guard case .number(let number) = value, number.isInteger else { throw mismatch("must be an integer") }
        guard let value = Integer(exactly: number) else {
            throw mismatch("must be between \(Integer.min) and \(Integer.max)")
        }
        return value
    }

    private func mismatch(_ reason: String) -> JSONDecodingError {
        JSONDecodingError(path: codingPath, reason: reason)
    }
}
