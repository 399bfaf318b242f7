/// The encoder of one value, and its own single-value container.
struct ValueEncoder: Encoder, SingleValueEncodingContainer {
    let output: EncoderOutput
    /// The value's start in the output, and the number of open containers around it.
    let start: Int
    let depth: Int

    init(output: EncoderOutput) {
        self.output = output
        self.start = output.stream.text.count
        self.depth = output.stream.depth
    }

    var codingPath: [any CodingKey] { output.codingPath }
    var userInfo: [CodingUserInfoKey: Any] { [:] }

    func container<Key: CodingKey>(keyedBy type: Key.Type) -> KeyedEncodingContainer<Key> {
        KeyedEncodingContainer(KeyedWriter(output: output, id: output.container(.object, for: self)))
    }

    func unkeyedContainer() -> any UnkeyedEncodingContainer {
        UnkeyedWriter(output: output, id: output.container(.array, for: self))
    }

    func singleValueContainer() -> any SingleValueEncodingContainer { self }

    func write(_ value: some JSONWritable) throws {
        try begin()
        value.write(to: &output.stream.text)
    }

    func encodeNil() throws {
        try begin()
        output.stream.text.append(raw: "null")
    }

    func encode(_ value: Bool) throws {
        try begin()
        output.stream.text.append(value)
    }

    func encode(_ value: String) throws {
        try begin()
        output.stream.text.append(value)
    }

    func encode(_ value: Double) throws {
        try begin()
        try output.write(value)
    }

    func encode(_ value: Float) throws {
        try begin()
        try output.write(value)
    }

    func encode<Integer: FixedWidthInteger & Encodable>(_ value: Integer) throws {
        try begin()
        output.stream.text.append(integer: value)
    }

    // The standard library's defaults for the 128-bit integers throw.
    func encode(_ value: Int128) throws {
        try begin()
        output.stream.text.append(integer: value)
    }

    func encode(_ value: UInt128) throws {
        try begin()
        output.stream.text.append(integer: value)
    }

    func encode<Value: Encodable>(_ value: Value) throws {
        try begin()
        try output.write(value)
    }

    private func begin() throws {
        guard output.stream.text.count == start else { throw output.misuse("a value was encoded twice") }
    }
}

/// An object being written.
struct KeyedWriter<Key: CodingKey>: KeyedEncodingContainerProtocol {
    let output: EncoderOutput
    let id: Int

    var codingPath: [any CodingKey] { output.codingPath }

    func encodeNil(forKey key: Key) throws {
        try output.enter(id, key: key)
        output.stream.text.append(raw: "null")
    }

    func encode(_ value: Bool, forKey key: Key) throws {
        try output.enter(id, key: key)
        output.stream.text.append(value)
    }

    func encode(_ value: String, forKey key: Key) throws {
        try output.enter(id, key: key)
        output.stream.text.append(value)
    }

    func encode<Integer: FixedWidthInteger & Encodable>(_ value: Integer, forKey key: Key) throws {
        try output.enter(id, key: key)
        output.stream.text.append(integer: value)
    }

    // The standard library's defaults for the 128-bit integers throw.
    func encode(_ value: Int128, forKey key: Key) throws {
        try output.enter(id, key: key)
        try output.write(value, at: key)
    }

    func encode(_ value: UInt128, forKey key: Key) throws {
        try output.enter(id, key: key)
        try output.write(value, at: key)
    }

    func encode<Value: Encodable>(_ value: Value, forKey key: Key) throws {
        try output.enter(id, key: key)
        try output.write(value, at: key)
    }

    func nestedContainer<NestedKey: CodingKey>(
        keyedBy keyType: NestedKey.Type, forKey key: Key
    ) -> KeyedEncodingContainer<NestedKey> {
        KeyedEncodingContainer(KeyedWriter<NestedKey>(output: output, id: nested(.object, forKey: key)))
    }

    func nestedUnkeyedContainer(forKey key: Key) -> any UnkeyedEncodingContainer {
        UnkeyedWriter(output: output, id: nested(.array, forKey: key))
    }

    func superEncoder() -> any Encoder {
        output.recordMisuse("superEncoder() is not supported")
        return ValueEncoder(output: output)
    }

    func superEncoder(forKey key: Key) -> any Encoder {
        superEncoder()
    }

    private func nested(_ kind: JSONStream.Kind, forKey key: Key) -> Int {
        do {
            try output.enter(id, key: key)
        } catch {
            // The output has recorded it.
            return JSONStream.noContainer
        }
        return output.stream.begin(kind)
    }
}

/// The standard library's versions of these leave the member out.
extension KeyedWriter {
    func encodeIfPresent(_ value: Bool?, forKey key: Key) throws { try encodeOrNull(value, key) }
    func encodeIfPresent(_ value: String?, forKey key: Key) throws { try encodeOrNull(value, key) }
    func encodeIfPresent(_ value: Double?, forKey key: Key) throws { try encodeOrNull(value, key) }
    func encodeIfPresent(_ value: Float?, forKey key: Key) throws { try encodeOrNull(value, key) }
    func encodeIfPresent(_ value: Int?, forKey key: Key) throws { try encodeOrNull(value, key) }
    func encodeIfPresent(_ value: Int8?, forKey key: Key) throws { try encodeOrNull(value, key) }
    func encodeIfPresent(_ value: Int16?, forKey key: Key) throws { try encodeOrNull(value, key) }
    func encodeIfPresent(_ value: Int32?, forKey key: Key) throws { try encodeOrNull(value, key) }
    func encodeIfPresent(_ value: Int64?, forKey key: Key) throws { try encodeOrNull(value, key) }
    func encodeIfPresent(_ value: Int128?, forKey key: Key) throws { try encodeOrNull(value, key) }
    func encodeIfPresent(_ value: UInt?, forKey key: Key) throws { try encodeOrNull(value, key) }
    func encodeIfPresent(_ value: UInt8?, forKey key: Key) throws { try encodeOrNull(value, key) }
    func encodeIfPresent(_ value: UInt16?, forKey key: Key) throws { try encodeOrNull(value, key) }
    func encodeIfPresent(_ value: UInt32?, forKey key: Key) throws { try encodeOrNull(value, key) }
    func encodeIfPresent(_ value: UInt64?, forKey key: Key) throws { try encodeOrNull(value, key) }
    func encodeIfPresent(_ value: UInt128?, forKey key: Key) throws { try encodeOrNull(value, key) }

    func encodeIfPresent<Value: Encodable>(_ value: Value?, forKey key: Key) throws {
        if let value { try encode(value, forKey: key) } else { try encodeNil(forKey: key) }
    }

    private func encodeOrNull<Value: Encodable>(_ value: Value?, _ key: Key) throws {
        if let value { try encode(value, forKey: key) } else { try encodeNil(forKey: key) }
    }
}

/// An array being written.
struct UnkeyedWriter: UnkeyedEncodingContainer {
    let output: EncoderOutput
    let id: Int

    var codingPath: [any CodingKey] { output.codingPath }
    var count: Int { output.stream.count(of: id) }

    func encodeNil() throws {
        try output.enter(id)
        output.stream.text.append(raw: "null")
    }

    func encode(_ value: String) throws {
        try output.enter(id)
        output.stream.text.append(value)
    }

    func encode<Integer: FixedWidthInteger & Encodable>(_ value: Integer) throws {
        try output.enter(id)
        output.stream.text.append(integer: value)
    }

    // The standard library's defaults for the 128-bit integers throw.
    func encode(_ value: Int128) throws {
        try output.enter(id)
        try output.write(value)
    }

    func encode(_ value: UInt128) throws {
        try output.enter(id)
        try output.write(value)
    }

    func encode<Value: Encodable>(_ value: Value) throws {
        try output.enter(id)
        try output.write(value, at: TextKey(index: count - 1))
    }

    func nestedContainer<NestedKey: CodingKey>(keyedBy keyType: NestedKey.Type) -> KeyedEncodingContainer<NestedKey> {
        KeyedEncodingContainer(KeyedWriter<NestedKey>(output: output, id: nested(.object)))
    }

    func nestedUnkeyedContainer() -> any UnkeyedEncodingContainer {
        UnkeyedWriter(output: output, id: nested(.array))
    }

    func superEncoder() -> any Encoder {
        output.recordMisuse("superEncoder() is not supported")
        return ValueEncoder(output: output)
    }

    private func nested(_ kind: JSONStream.Kind) -> Int {
        do {
            try output.enter(id)
        } catch {
            // The output has recorded it.
            return JSONStream.noContainer
        }
        return output.stream.begin(kind)
    }
}

/// A key known only when the program runs: a member's name, or the position of an element.
struct TextKey: CodingKey {
    let stringValue: String
    let intValue: Int?

    init(stringValue: String) {
        self.stringValue = stringValue
        self.intValue = nil
    }

    init(index: Int) {
        self.stringValue = String(index)
        self.intValue = index
    }

    init?(intValue: Int) { nil }
}
