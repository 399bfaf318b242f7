/// An object being written.
struct KeyedWriter<Key: CodingKey>: KeyedEncodingContainerProtocol {
    let output: EncoderOutput
    let id: Int

    var codingPath: [any CodingKey] { output.codingPath }

    func encodeNil(forKey key: Key) throws {
        try output.enter(id, key: key)
        output.stream.text.append(verbatim: "null")
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
        output.stream.text.append(value)
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
        _ = output.refuse("superEncoder() is not supported")
        return ValueEncoder(output: output)
    }

    func superEncoder(forKey key: Key) -> any Encoder {
        superEncoder()
    }

    private func nested(_ kind: JSONStream.Kind, forKey key: Key) -> Int {
        do {
            try output.enter(id, key: key)
        } catch {
            // Noted by the output.
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
