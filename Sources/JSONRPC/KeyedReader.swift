/// An object being decoded.
struct KeyedReader<Key: CodingKey>: KeyedDecodingContainerProtocol {
    private let object: JSONObject
    private let unknownMembers: JSONDecoding.UnknownMembers
    let codingPath: [any CodingKey]

    /// - Throws: ``JSONDecodingError`` when there is a member that is no `Key` and that is not to be ignored.
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
