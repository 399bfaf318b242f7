/// Turns JSON values into `Decodable` ones without any conversion: a Boolean is not a number, a number with a
/// fraction or exponent is not an integer, and a value out of a type's range is refused. An optional is nil for null and
/// for a missing member.
public enum JSONDecoding {
    /// The treatment of members that the decoded type does not know.
    ///
    /// A server refuses a member that it would otherwise silently ignore; a client ignores the members that a newer server
    /// adds. A type
    /// that decodes itself from several keyed containers, as a subclass does, cannot be decoded with `refuse`: each
    /// container is taken to know all members.
    public enum UnknownMembers: Sendable {
        case refuse
        case ignore
    }

    /// Decodes `value` as a `Value`.
    ///
    /// - Throws: ``JSONDecodingError`` for the first value that does not fit.
    public static func decode<Value: Decodable>(
        _ type: Value.Type = Value.self, from value: JSONValue, unknownMembers: UnknownMembers = .refuse
    ) throws(JSONDecodingError) -> Value {
        do {
            return try ValueDecoder(value: value, unknownMembers: unknownMembers).decode(type)
        } catch let error as JSONDecodingError {
            throw error
        } catch let error as DecodingError {
            throw JSONDecodingError(error)
        } catch {
            throw JSONDecodingError(path: [], reason: String(describing: error))
        }
    }
}

/// The part of a value that does not fit, with a text for the sender: `ttl: must be an integer`.
public struct JSONDecodingError: Error, Hashable, CustomStringConvertible {
    /// The way to the value from the one that was decoded, such as `peers[2].name`; empty for that value itself.
    public let path: String
    /// The rest of a sentence whose subject is the value.
    public let reason: String

    public var description: String {
        path.isEmpty ? reason : "\(path): \(reason)"
    }

    init(path: [any CodingKey], reason: String) {
        self.path = path.reduce(into: "") { text, key in
            if let index = key.intValue {
                text += "[\(index)]"
            } else {
                let separator = text.isEmpty ? "" : "."
                text += separator + (isPlain(key.stringValue) ? key.stringValue : quoted(key.stringValue))
            }
        }
        self.reason = reason
    }

    /// For errors thrown by the decoding code of types, which know the standard library's error only.
    init(_ error: DecodingError) {
        switch error {
        case .typeMismatch(_, let context), .dataCorrupted(let context):
            self.init(path: context.codingPath, reason: context.debugDescription)
        case .valueNotFound(_, let context):
            self.init(path: context.codingPath, reason: "must not be null")
        case .keyNotFound(let key, let context):
            self.init(path: context.codingPath + [key], reason: "is required")
        @unknown default:
            self.init(path: [], reason: "cannot be decoded")
        }
    }
}

/// Whether a key can stand in a path without quotes.
private func isPlain(_ key: String) -> Bool {
    let limit = 64
    return (1...limit).contains(key.utf8.count)
        && key.utf8.allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"): true
            case UInt8(ascii: "_"), UInt8(ascii: "-"): true
            default: isDigit(byte)
            }
        }
}
