/// The encoder of one value, and its own single-value container.
struct ValueEncoder: Encoder, SingleValueEncodingContainer {
    let output: EncoderOutput
    /// Where the value begins in the output, and how many containers stand open around it.
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

    func write(_ value: JSONValue) throws {
        try begin()
        output.stream.text.append(value)
    }

    func encodeNil() throws {
        try begin()
        output.stream.text.append(verbatim: "null")
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
        output.stream.text.append(value)
    }

    // The standard library's defaults for the 128-bit integers throw.
    func encode(_ value: Int128) throws {
        try begin()
        output.stream.text.append(value)
    }

    func encode(_ value: UInt128) throws {
        try begin()
        output.stream.text.append(value)
    }

    func encode<Value: Encodable>(_ value: Value) throws {
        try begin()
        try output.write(value)
    }

    private func begin() throws {
        guard output.stream.text.count == start else { throw output.failure("a value was encoded twice") }
    }
}
