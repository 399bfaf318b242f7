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
