/// An array being written.
struct UnkeyedWriter: UnkeyedEncodingContainer {
    let output: EncoderOutput
    let id: Int

    var codingPath: [any CodingKey] { output.codingPath }
    var count: Int { output.stream.count(of: id) }

    func encodeNil() throws {
        try output.enter(id)
        output.stream.text.append(verbatim: "null")
    }

    func encode(_ value: String) throws {
        try output.enter(id)
        output.stream.text.append(value)
    }

    func encode<Integer: FixedWidthInteger & Encodable>(_ value: Integer) throws {
        try output.enter(id)
        output.stream.text.append(value)
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
        _ = output.refuse("superEncoder() is not supported")
        return ValueEncoder(output: output)
    }

    private func nested(_ kind: JSONStream.Kind) -> Int {
        do {
            try output.enter(id)
        } catch {
            // Noted by the output.
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
