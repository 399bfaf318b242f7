public import StrictJSON

/// One port, or all from one to another. On the wire `8080` or `"9000-9100"`.
public struct PortRange: Hashable, Sendable {
    public let first: UInt16
    public let last: UInt16

    /// The fault of a malformed text, as the rest of a sentence whose subject is the text.
    public struct Malformed: Error, Hashable, Sendable, CustomStringConvertible {
        public let description: String

        static let notPort = Malformed(description: "must be a port from 1 to 65535, or a range such as 9000-9100")
    }

    public init(_ port: Int) throws(Malformed) { try self.init(port, to: port) }

    public init(_ first: Int, to last: Int) throws(Malformed) {
        guard let first = UInt16(exactly: first), let last = UInt16(exactly: last), first > 0, last > 0 else {
            throw .notPort
        }
        guard first <= last else { throw Malformed(description: "is empty: the lower port of a range comes first") }
        (self.first, self.last) = (first, last)
    }

    /// Takes `8080` and `9000-9100`.
    public init(_ text: String) throws(Malformed) {
        let ends = text.split(separator: "-", maxSplits: 2, omittingEmptySubsequences: false).map {
            Int(exactDigits: $0) ?? 0
        }
        guard ends.count <= 2 else { throw .notPort }
        try self.init(ends[0], to: ends[ends.count - 1])
    }

    public func contains(_ port: UInt16) -> Bool { first <= port && port <= last }
}

extension PortRange: CustomStringConvertible, Comparable {
    public var description: String { first == last ? "\(first)" : "\(first)-\(last)" }

    public static func < (one: Self, other: Self) -> Bool { (one.first, one.last) < (other.first, other.last) }
}

extension PortRange: Decodable, JSONWritable {
    public init(from decoder: any Decoder) throws {
        let value = try JSONValue(from: decoder)
        do throws(Malformed) {
            switch value {
            case .number(let number): self = try Self(Int(exactly: number) ?? 0)
            case .string(let text) where text.utf8.contains(UInt8(ascii: "-")): self = try Self(text)
            case .string(let text) where (try? Self(text)) != nil:
                throw Malformed(description: "must be a number, since it is one port")
            default: throw .notPort
            }
        } catch {
            throw DecodingError.dataCorrupted(
                .init(codingPath: decoder.codingPath, debugDescription: error.description))
        }
    }

    public func write(to text: inout JSONText) {
        if first == last { text.append(integer: first) } else { text.append(description) }
    }
}

extension PortRange {
    static let schema = Schema.any(
        of: [
            .integer(minimum: 1, maximum: Int(UInt16.max)),
            .string(
                "a range, the lower port first", pattern: "^[1-9][0-9]{0,4}-[1-9][0-9]{0,4}$", format: "port-range",
                examples: ["9000-9100"]),
        ])
}
