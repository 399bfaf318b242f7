/// A value that writes its JSON itself, without the containers of `Encodable`.
public protocol JSONWritable {
    /// Appends the value, complete.
    func write(to text: inout JSONText)

    /// The value's JSON, if it is written already: who sends it to many need not copy it for each.
    var written: [UInt8]? { get }
}

extension JSONWritable {
    public var written: [UInt8]? { nil }
}

/// A value that writes itself as an object, with the same members in the same order whatever their values.
///
/// Its `Encodable` conformance comes with it, so that the members are listed once: ``JSONEncoding`` makes the same
/// bytes of it.
public protocol JSONWritableObject: JSONWritable, Encodable {
    /// Appends the members, each by ``JSONText/member(_:_:)``.
    func writeMembers(to text: inout JSONText)
}

extension JSONWritableObject {
    public func write(to text: inout JSONText) {
        text.object { writeMembers(to: &$0) }
    }

    /// Written straight by ``JSONEncoding``; any other encoder is given the containers of the ``JSONValue``.
    public func encode(to encoder: any Encoder) throws {
        if let encoder = encoder as? ValueEncoder { return try encoder.write(self) }
        try JSONReader.read(JSONText.bytes(of: self)).encode(to: encoder)
    }
}

extension String: JSONWritable {
    public func write(to text: inout JSONText) { text.append(self) }
}

extension Bool: JSONWritable {
    public func write(to text: inout JSONText) { text.append(self) }
}

extension JSONWritable where Self: FixedWidthInteger {
    @inlinable
    public func write(to text: inout JSONText) { text.append(integer: self) }
}

extension Int: JSONWritable {}
extension Int32: JSONWritable {}
extension Int64: JSONWritable {}
extension UInt32: JSONWritable {}
extension UInt64: JSONWritable {}

/// Written as the raw value, as `Encodable` does.
extension JSONWritable where Self: RawRepresentable<String> {
    public func write(to text: inout JSONText) { text.append(rawValue) }
}

/// Written as null if absent: the members that are sent do not depend on their values.
extension Optional: JSONWritable where Wrapped: JSONWritable {
    @inlinable
    public func write(to text: inout JSONText) {
        if let self { self.write(to: &text) } else { text.append(raw: "null") }
    }
}

extension Array: JSONWritable where Element: JSONWritable {
    @inlinable
    public func write(to text: inout JSONText) {
        text.array { text in
            for element in self {
                text.separate()
                element.write(to: &text)
            }
        }
    }
}

extension JSONValue: JSONWritable {
    public func write(to text: inout JSONText) {
        switch self {
        case .null: text.append(raw: "null")
        case .bool(let flag): text.append(flag)
        case .number(let number): text.append(verbatim: number.text)
        case .string(let string): text.append(string)
        case .array(let elements): elements.write(to: &text)
        case .object(let object): object.write(to: &text)
        }
    }
}

extension JSONObject: JSONWritable {
    public func write(to text: inout JSONText) {
        text.object { text in
            for member in members {
                text.append(key: member.key)
                member.value.write(to: &text)
            }
        }
    }
}

extension JSONNumber: JSONWritable {
    public func write(to text: inout JSONText) { text.append(verbatim: self.text) }
}
