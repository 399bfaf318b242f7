/// What a client names its request by. It is sent back as it came, a number with its own digits whatever its size.
public enum RequestID: Sendable, Hashable {
    case string(String)
    /// An integer: a number with a fraction or an exponent is no id.
    case number(JSONNumber)
    /// The id of an answer to what had no id that could be read, and a client's own choice of null.
    case null

    public init(_ number: some FixedWidthInteger) {
        self = .number(JSONNumber(number))
    }

    /// - Returns: nil when `value` is not what an id can be.
    public init?(_ value: JSONValue) {
        switch value {
        case .string(let text): self = .string(text)
        case .number(let number) where number.isInteger: self = .number(number)
        case .null: self = .null
        case .number, .bool, .array, .object: return nil
        }
    }

    /// The id as it stands in a message.
    public var json: JSONValue {
        switch self {
        case .string(let text): .string(text)
        case .number(let number): .number(number)
        case .null: .null
        }
    }
}
