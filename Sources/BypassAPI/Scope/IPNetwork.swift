public import StrictJSON

/// A network: all addresses that begin like one address. On the wire `10.0.0.0/8` or `fd00::/8`; an address without a
/// length is that address alone.
public struct IPNetwork: Hashable, Sendable {
    /// The first address.
    public let address: InternetAddress
    /// The prefix length in bits.
    public let length: Int

    /// The fault of a malformed text, as the rest of a sentence whose subject is the text.
    public struct Malformed: Error, Hashable, Sendable, CustomStringConvertible {
        public let description: String
    }

    public init(_ text: String) throws(Malformed) {
        let parts = text.split(separator: "/", maxSplits: 2, omittingEmptySubsequences: false)
        guard parts.count <= 2, let address = InternetAddress(parts[0]) else {
            throw Malformed(description: "is not an IPv4 or IPv6 network, such as 10.0.0.0/8 or fd00::/8")
        }
        var length = address.width
        if parts.count == 2 {
            guard let given = Int(exactDigits: parts[1]), given <= address.width else {
                throw Malformed(description: "needs a length from 0 to \(address.width) after the slash")
            }
            length = given
        }
        let network = Self(containing: address, length: length)
        // It may be a typing error in either part.
        guard network.address == address else {
            throw Malformed(
                description: "has host bits after its prefix length: \(network) is the network that contains it")
        }
        guard !network.isMapped else {
            throw Malformed(description: "stands for IPv4 addresses: write them as such")
        }
        self = network
    }

    /// The network of so many bits that an address is in.
    public init(containing address: InternetAddress, length: Int) {
        let length = min(max(length, 0), address.width)
        self.address = InternetAddress(
            isIPv4: address.isIPv4, high: address.high & Self.mask(length), low: address.low & Self.mask(length - 64))
        self.length = length
    }

    public func contains(_ other: InternetAddress) -> Bool {
        other.isIPv4 == address.isIPv4 && (other.high ^ address.high) & Self.mask(length) == 0
            && (other.low ^ address.low) & Self.mask(length - 64) == 0
    }

    /// The last address.
    var last: InternetAddress {
        let unused: UInt64 = address.isIPv4 ? 0xFFFF_FFFF << 32 : .max
        return InternetAddress(
            isIPv4: address.isIPv4, high: address.high | unused & ~Self.mask(length),
            low: address.isIPv4 ? 0 : address.low | ~Self.mask(length - 64))
    }

    /// The first bits of 64. Swift's shift gives 0 where C's would not be defined.
    private static func mask(_ bits: Int) -> UInt64 { bits <= 0 ? 0 : .max << (64 - min(bits, 64)) }

    /// No packet has an IPv4 address in the form of an IPv6 one.
    private var isMapped: Bool {
        !address.isIPv4 && length >= 96 && address.high == 0 && address.low >> 32 == 0xFFFF
    }
}

extension IPNetwork: CustomStringConvertible, Comparable {
    public var description: String { "\(address)/\(length)" }

    /// IPv4 first, then by address, larger networks before those in them.
    public static func < (one: Self, other: Self) -> Bool {
        let (a, b) = (one.address, other.address)
        return (a.isIPv4 ? 0 : 1, a.high, a.low, one.length) < (b.isIPv4 ? 0 : 1, b.high, b.low, other.length)
    }
}

extension IPNetwork: Decodable, JSONWritable {
    public init(from decoder: any Decoder) throws {
        let text = try decoder.singleValueContainer().decode(String.self)
        do throws(Malformed) {
            self = try Self(text)
        } catch {
            throw DecodingError.dataCorrupted(
                .init(codingPath: decoder.codingPath, debugDescription: error.description))
        }
    }

    public func write(to text: inout JSONText) { text.append(description) }
}

extension IPNetwork {
    static let schema = Schema.string(
        "an address and a prefix length, without host bits; an address alone is that address", format: "ip-network",
        examples: ["10.0.0.0/8", "192.0.2.1", "fd00::/8"])
}
