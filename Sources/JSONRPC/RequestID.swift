public import StrictJSON

/// The id that a client gives its request. It is sent back as it came, a number with its own digits whatever its size.
public enum RequestID: Sendable, Hashable {
    case string(String)
    /// An integer: a number with a fraction or an exponent is not an id.
    case number(JSONNumber)
    /// The id of the answer to a line without a readable id; a client may use it too.
    case null

    public init(_ number: some FixedWidthInteger) {
        self = .number(JSONNumber(number))
    }

    /// - Returns: nil when `value` has a type that an id cannot have.
    public init?(_ value: JSONValue) {
        switch value {
        case .string(let text): self = .string(text)
        case .number(let number) where number.isInteger: self = .number(number)
        case .null: self = .null
        case .number, .bool, .array, .object: return nil
        }
    }
}

extension RequestID: JSONWritable {
    public func write(to text: inout JSONText) {
        switch self {
        case .string(let string): text.append(string)
        case .number(let number): number.write(to: &text)
        case .null: JSONValue.null.write(to: &text)
        }
    }
}
