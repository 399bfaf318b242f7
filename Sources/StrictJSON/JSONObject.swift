/// The members of a JSON object in the order of the text, each key once.
///
/// Keys are compared by their UTF-8 bytes. Swift's `==` would take the two spellings of "é" for one key and so let
/// two different keys pass for a duplicate, or one key answer to the name of another.
public struct JSONObject: Sendable {
    public struct Member: Sendable, Hashable {
        public let key: String
        public let value: JSONValue
    }

    /// The members in order.
    public private(set) var members: [Member] = []

    /// Positions by key, kept once a linear search would cost more; a hostile object of n keys must not cost n².
    private var positions: [ExactKey: Int] = [:]

    private static let linearSearchLimit = 16

    public init() {}

    mutating func reserveCapacity(_ capacity: Int) {
        members.reserveCapacity(capacity)
    }

    /// - Precondition: no key stands twice. For members written in the program, not for members that were received.
    public init(uniqueMembers members: [(String, JSONValue)]) {
        for (key, value) in members {
            let isNew = append(value, forKey: key)
            precondition(isNew, "duplicate key \(quoted(key))")
        }
    }

    public var count: Int { members.count }
    public var isEmpty: Bool { members.isEmpty }

    /// The value of `key`, nil when there is no such member; a member of value null gives `.null`.
    public subscript(key: String) -> JSONValue? {
        position(of: key).map { members[$0].value }
    }

    /// Adds a member at the end.
    ///
    /// - Returns: false, with nothing changed, if there is a member of this key.
    public mutating func append(_ value: JSONValue, forKey key: String) -> Bool {
        guard position(of: key) == nil else { return false }
        members.append(Member(key: key, value: value))
        if members.count > Self.linearSearchLimit {
            if positions.isEmpty {
                for (position, member) in members.enumerated() { positions[ExactKey(text: member.key)] = position }
            } else {
                positions[ExactKey(text: key)] = members.count - 1
            }
        }
        return true
    }

    private func position(of key: String) -> Int? {
        guard positions.isEmpty else { return positions[ExactKey(text: key)] }
        return members.firstIndex { hasSameBytes($0.key, key) }
    }
}

extension JSONObject: Hashable {
    /// Equal when the same members stand in the same order.
    public static func == (left: JSONObject, right: JSONObject) -> Bool {
        left.members == right.members
    }

    public func hash(into hasher: inout Hasher) {
        hasher.combine(members)
    }
}

extension JSONObject: ExpressibleByDictionaryLiteral {
    /// - Precondition: no key stands twice.
    public init(dictionaryLiteral elements: (String, JSONValue)...) {
        self.init(uniqueMembers: elements)
    }
}

extension JSONObject: Codable {
    /// Written in order by ``JSONEncoding``; any other encoder is given a keyed container.
    public func encode(to encoder: any Encoder) throws {
        if let encoder = encoder as? ValueEncoder { return try encoder.write(self) }
        var container = encoder.container(keyedBy: TextKey.self)
        for member in members { try container.encode(member.value, forKey: TextKey(stringValue: member.key)) }
    }

    /// - Throws: ``JSONDecodingError`` when the value is not an object; `DecodingError` from a decoder of another format.
    public init(from decoder: any Decoder) throws {
        self = try ValueDecoder.require(decoder).object()
    }
}

/// A key that hashes by its bytes. `String` hashes its normal form, for which any number of colliding spellings can
/// be written.
private struct ExactKey: Hashable {
    let text: String

    static func == (left: ExactKey, right: ExactKey) -> Bool {
        hasSameBytes(left.text, right.text)
    }

    func hash(into hasher: inout Hasher) {
        for byte in text.utf8 { hasher.combine(byte) }
    }
}

/// Whether two strings are the same UTF-8, which is stricter than `==`, but for ASCII.
package func hasSameBytes(_ left: String, _ right: String) -> Bool {
    guard left.utf8.count == right.utf8.count, left == right else { return false }
    if left.utf8Span.isKnownASCII && right.utf8Span.isKnownASCII { return true }
    return left.utf8.elementsEqual(right.utf8)
}
