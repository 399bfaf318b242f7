/// An IPv4 or IPv6 address.
public struct InternetAddress: Hashable, Sendable {
    public let isIPv4: Bool
    /// The first 64 bits. An IPv4 address is the upper half of them.
    public let high: UInt64
    /// The other 64 bits of an IPv6 address.
    public let low: UInt64

    public init(ipv4 address: UInt32) {
        self.init(isIPv4: true, high: UInt64(address) << 32, low: 0)
    }

    public init(ipv6 high: UInt64, _ low: UInt64) {
        self.init(isIPv4: false, high: high, low: low)
    }

    /// - Parameter bytes: in network byte order.
    /// - Returns: nil unless there are 4 or 16 of them.
    public init?(bytes: some Collection<UInt8>) {
        func number(_ bytes: some Sequence<UInt8>) -> UInt64 { bytes.reduce(0) { $0 << 8 | UInt64($1) } }
        switch bytes.count {
        case 4: self.init(isIPv4: true, high: number(bytes) << 32, low: 0)
        case 16: self.init(isIPv4: false, high: number(bytes.prefix(8)), low: number(bytes.dropFirst(8)))
        default: return nil
        }
    }

    init(isIPv4: Bool, high: UInt64, low: UInt64) {
        self.isIPv4 = isIPv4
        self.high = high
        self.low = low
    }

    /// The number of bits.
    var width: Int { isIPv4 ? 32 : 128 }
}

// MARK: text

extension InternetAddress: CustomStringConvertible {
    /// Takes what inet_pton(3) takes: `10.0.0.1`, `fd00::1`. nil for everything else.
    public init?(_ text: some StringProtocol) {
        if let address = Self.dottedQuad(text) {
            self.init(ipv4: address)
            return
        }
        let halves = text.split(separator: "::", maxSplits: 2, omittingEmptySubsequences: false)
        guard halves.count <= 2, let head = Self.groups(halves[0], isEnd: halves.count == 1),
            let tail = halves.count == 1 ? [] : Self.groups(halves[1], isEnd: true)
        else { return nil }
        let given = head.count + tail.count
        // The two colons stand for one group of zeros at least.
        guard halves.count == 1 ? given == 8 : given < 8 else { return nil }
        let groups = head + [UInt16](repeating: 0, count: 8 - given) + tail
        self.init(bytes: groups.flatMap { [UInt8($0 >> 8), UInt8($0 & 0xFF)] })
    }

    private static func dottedQuad(_ text: some StringProtocol) -> UInt32? {
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 4 else { return nil }
        var address: UInt32 = 0
        for part in parts {
            guard let byte = UInt8(exactDigits: part) else { return nil }
            address = address << 8 | UInt32(byte)
        }
        return address
    }

    /// The groups between colons; the last ones may be written as an IPv4 address.
    private static func groups(_ text: some StringProtocol, isEnd: Bool) -> [UInt16]? {
        if text.isEmpty { return [] }
        let parts = text.split(separator: ":", maxSplits: 8, omittingEmptySubsequences: false)
        var groups: [UInt16] = []
        for (index, part) in parts.enumerated() {
            if isEnd, index == parts.count - 1, let address = dottedQuad(part) {
                groups += [UInt16(address >> 16), UInt16(address & 0xFFFF)]
            } else if (1...4).contains(part.utf8.count), part.utf8.allSatisfy(\.isHexDigit),
                let group = UInt16(part, radix: 16)
            {
                groups.append(group)
            } else {
                return nil
            }
        }
        return groups
    }

    /// As RFC 5952 has it.
    public var description: String {
        if isIPv4 { return stride(from: 56, to: 24, by: -8).map { "\(high >> $0 & 0xFF)" }.joined(separator: ".") }
        let groups = [high, low].flatMap { half in
            stride(from: 48, through: 0, by: -16).map { UInt16(truncatingIfNeeded: half >> $0) }
        }
        guard let zeros = Self.longestZeros(groups) else { return Self.text(groups[...]) }
        return Self.text(groups[..<zeros.lowerBound]) + "::" + Self.text(groups[zeros.upperBound...])
    }

    private static func text(_ groups: ArraySlice<UInt16>) -> String {
        groups.map { String($0, radix: 16) }.joined(separator: ":")
    }

    /// The first of the longest runs of two and more groups that are zero.
    private static func longestZeros(_ groups: [UInt16]) -> Range<Int>? {
        var longest: Range<Int>?
        var start = 0
        for end in 1...groups.count where end == groups.count || groups[end] != 0 || groups[start] != 0 {
            if groups[start] == 0, end - start > max(1, longest?.count ?? 0) { longest = start..<end }
            start = end
        }
        return longest
    }
}

extension FixedWidthInteger {
    /// Takes decimal digits alone, without a sign or leading zeros.
    init?(exactDigits text: some StringProtocol) {
        guard text.utf8.first != UInt8(ascii: "0") || text.utf8.count == 1,
            text.utf8.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) })
        else { return nil }
        self.init(text, radix: 10)
    }
}

extension UInt8 {
    fileprivate var isHexDigit: Bool {
        switch self {
        case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "a")...UInt8(ascii: "f"),
            UInt8(ascii: "A")...UInt8(ascii: "F"):
            true
        default: false
        }
    }
}

extension InternetAddress {
    static let schema = Schema(
        kind: .string, examples: ["10.244.1.7", "fd00::7"],
        alternatives: [Schema(format: "ipv4"), Schema(format: "ipv6")])
}
