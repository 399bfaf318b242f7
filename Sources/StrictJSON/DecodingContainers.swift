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

/// The value as the type that is asked for.
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

/// An object being decoded.
struct KeyedReader<Key: CodingKey>: KeyedDecodingContainerProtocol {
    private let object: JSONObject
    private let unknownMembers: JSONDecoding.UnknownMembers
    let codingPath: [any CodingKey]

    /// - Throws: ``JSONDecodingError`` for a member that is not a `Key`, unless unknown members are ignored.
    init(
        object: JSONObject, unknownMembers: JSONDecoding.UnknownMembers, codingPath: [any CodingKey]
    ) throws(JSONDecodingError) {
        self.object = object
        self.unknownMembers = unknownMembers
        self.codingPath = codingPath
        guard unknownMembers == .refuse else { return }
        for member in object.members where Self.key(member.key) == nil {
            throw JSONDecodingError(path: codingPath + [TextKey(stringValue: member.key)], reason: "is not known")
        }
    }

    /// The key spelled `name` to the byte; the raw values of an enumeration are compared less exactly.
    private static func key(_ name: String) -> Key? {
        guard let key = Key(stringValue: name), hasSameBytes(key.stringValue, name) else { return nil }
        return key
    }

    var allKeys: [Key] { object.members.compactMap { Self.key($0.key) } }

    func contains(_ key: Key) -> Bool { object[key.stringValue] != nil }

    private func decoder(_ key: Key) throws(JSONDecodingError) -> ValueDecoder {
        guard let value = object[key.stringValue] else {
            throw JSONDecodingError(path: codingPath + [key], reason: "is required")
        }
        return ValueDecoder(value: value, unknownMembers: unknownMembers, parentPath: codingPath, key: key)
    }

    func decodeNil(forKey key: Key) throws -> Bool { try decoder(key).decodeNil() }
    func decode(_ type: Bool.Type, forKey key: Key) throws -> Bool { try decoder(key).bool() }
    func decode(_ type: String.Type, forKey key: Key) throws -> String { try decoder(key).string() }
    func decode(_ type: Double.Type, forKey key: Key) throws -> Double { try decoder(key).double() }
    func decode(_ type: Float.Type, forKey key: Key) throws -> Float { try decoder(key).float() }

    func decode<Integer: FixedWidthInteger & Decodable>(_ type: Integer.Type, forKey key: Key) throws -> Integer {
        try decoder(key).integer()
    }

    // The standard library's defaults for the 128-bit integers throw.
    func decode(_ type: Int128.Type, forKey key: Key) throws -> Int128 { try decoder(key).integer() }
    func decode(_ type: UInt128.Type, forKey key: Key) throws -> UInt128 { try decoder(key).integer() }

    func decode<Value: Decodable>(_ type: Value.Type, forKey key: Key) throws -> Value {
        try decoder(key).decode(type)
    }

    func nestedContainer<NestedKey: CodingKey>(
        keyedBy type: NestedKey.Type, forKey key: Key
    ) throws -> KeyedDecodingContainer<NestedKey> {
        try decoder(key).container(keyedBy: type)
    }

    func nestedUnkeyedContainer(forKey key: Key) throws -> any UnkeyedDecodingContainer {
        try decoder(key).unkeyedContainer()
    }

    func superDecoder() throws -> any Decoder {
        throw JSONDecodingError(path: codingPath, reason: "superDecoder() is not supported")
    }

    func superDecoder(forKey key: Key) throws -> any Decoder { try decoder(key) }
}

/// An array being decoded.
struct UnkeyedReader: UnkeyedDecodingContainer {
    private let elements: [JSONValue]
    private let unknownMembers: JSONDecoding.UnknownMembers
    let codingPath: [any CodingKey]
    private(set) var currentIndex = 0

    init(elements: [JSONValue], unknownMembers: JSONDecoding.UnknownMembers, codingPath: [any CodingKey]) {
        self.elements = elements
        self.unknownMembers = unknownMembers
        self.codingPath = codingPath
    }

    var count: Int? { elements.count }
    var isAtEnd: Bool { currentIndex == elements.count }

    private func decoder() throws(JSONDecodingError) -> ValueDecoder {
        let key = TextKey(index: currentIndex)
        guard !isAtEnd else { throw JSONDecodingError(path: codingPath + [key], reason: "is required") }
        return ValueDecoder(
            value: elements[currentIndex], unknownMembers: unknownMembers, parentPath: codingPath, key: key)
    }

    /// Decodes the next element, and goes on to the one after it only when that was possible.
    private mutating func next<Value>(_ decode: (ValueDecoder) throws -> Value) throws -> Value {
        let value = try decode(try decoder())
        currentIndex += 1
        return value
    }

    mutating func decodeNil() throws -> Bool {
        guard try decoder().decodeNil() else { return false }
        currentIndex += 1
        return true
    }

    mutating func decode(_ type: Bool.Type) throws -> Bool { try next { try $0.bool() } }
    mutating func decode(_ type: String.Type) throws -> String { try next { try $0.string() } }
    mutating func decode(_ type: Double.Type) throws -> Double { try next { try $0.double() } }
    mutating func decode(_ type: Float.Type) throws -> Float { try next { try $0.float() } }

    mutating func decode<Integer: FixedWidthInteger & Decodable>(_ type: Integer.Type) throws -> Integer {
        try next { try $0.integer() }
    }

    // The standard library's defaults for the 128-bit integers throw.
    mutating func decode(_ type: Int128.Type) throws -> Int128 { try next { try $0.integer() } }
    mutating func decode(_ type: UInt128.Type) throws -> UInt128 { try next { try $0.integer() } }

    mutating func decode<Value: Decodable>(_ type: Value.Type) throws -> Value {
        try next { try $0.decode(type) }
    }

    mutating func nestedContainer<NestedKey: CodingKey>(
        keyedBy type: NestedKey.Type
    ) throws -> KeyedDecodingContainer<NestedKey> {
        try next { try $0.container(keyedBy: type) }
    }

    mutating func nestedUnkeyedContainer() throws -> any UnkeyedDecodingContainer {
        try next { try $0.unkeyedContainer() }
    }

    mutating func superDecoder() throws -> any Decoder {
        try next { $0 }
    }
}
