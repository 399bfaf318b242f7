internal import CLinux
internal import Glibc
internal import SystemPackage

/// An IPv4 or IPv6 address, without memory of its own.
package struct IPAddress: Hashable, Sendable {
    private let isIPv4: Bool
    /// The first eight bytes, and the other ones. An IPv4 address has its four in `low`.
    private let high: UInt64
    private let low: UInt64

    /// Takes what inet_pton(3) takes: `10.0.0.1`, `fd00::1`. nil for everything else.
    package init?(_ text: String) {
        // C reads no further than the first of them.
        if text.utf8.contains(0) { return nil }
        for (family, size) in [(AF_INET, 4), (AF_INET6, 16)] {
            var bytes = [UInt8](repeating: 0, count: size)
            if unsafe inet_pton(family, text, &bytes) == 1 {
                self.init(bytes: bytes)
                return
            }
        }
        return nil
    }

    /// - Parameter bytes: 4 or 16 in network byte order; nil for any other number of them.
    package init?(bytes: some Collection<UInt8>) {
        guard bytes.count == 4 || bytes.count == 16 else { return nil }
        var (high, low): (UInt64, UInt64) = (0, 0)
        for byte in bytes { (high, low) = (high << 8 | low >> 56, low << 8 | UInt64(byte)) }
        (isIPv4, self.high, self.low) = (bytes.count == 4, high, low)
    }

    /// In network byte order: 4 or 16.
    package var bytes: [UInt8] {
        let words = isIPv4 ? [low << 32] : [high, low]
        return words.flatMap { word in (0..<8).map { UInt8(truncatingIfNeeded: word >> (56 - 8 * $0)) } }
            .prefix(isIPv4 ? 4 : 16).map(\.self)
    }

    /// Whether every namespace has it for itself: 127.0.0.0/8 or ::1.
    package var isLoopback: Bool { isIPv4 ? low >> 24 == 127 : high == 0 && low == 1 }

    /// 0.0.0.0 or ::, which a socket has for all addresses.
    package var isUnspecified: Bool { high == 0 && low == 0 }

    /// An IPv4 address that a socket for both families writes as ::ffff:10.0.0.1, as an IPv4 address.
    package var unmapped: IPAddress {
        if isIPv4 || high != 0 || low >> 32 != 0xffff { return self }
        return IPAddress(ipv4: UInt32(truncatingIfNeeded: low).bigEndian)
    }

    /// - Parameter address: in network byte order.
    fileprivate init(ipv4 address: UInt32) {
        (isIPv4, high, low) = (true, 0, UInt64(UInt32(bigEndian: address)))
    }

    /// nil unless the text begins with 32 hexadecimal digits, as a line of /proc/net/if_inet6 does.
    fileprivate init?(ipv6Digits text: some Collection<UInt8>) {
        let digits = text.prefix(32).compactMap { Character(Unicode.Scalar($0)).hexDigitValue.map(UInt8.init) }
        guard digits.count == 32 else { return nil }
        self.init(bytes: stride(from: 0, to: 32, by: 2).map { digits[$0] << 4 | digits[$0 + 1] })
    }
}

extension IPAddress: CustomStringConvertible {
    package var description: String {
        var text = [CChar](repeating: 0, count: Int(INET6_ADDRSTRLEN))
        guard unsafe inet_ntop(isIPv4 ? AF_INET : AF_INET6, bytes, &text, socklen_t(text.count)) != nil else {
            return "\(bytes)"
        }
        return String(decoding: text.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
    }
}

extension NetworkNamespace {
    /// The addresses of all interfaces in the namespace.
    ///
    /// Neither way to them is netlink, on which getifaddrs(3) waits as long as other processes of the namespace send to it.
    package borrowing func addresses() throws(SystemCallError) -> Set<IPAddress> {
        try withEntered { () throws(SystemCallError) -> Set<IPAddress> in
            try Self.ipv4Addresses().union(Self.ipv6Addresses())
        }
    }

    /// More are not what a pod has; to list them would cost memory.
    private static let maxAddresses = 4096

    private static func ipv4Addresses() throws(SystemCallError) -> Set<IPAddress> {
        var addresses = [UInt32](repeating: 0, count: maxAddresses)
        let count = try systemCall("ioctl SIOCGIFCONF") {
            unsafe clinux_ipv4_addresses(&addresses, UInt32(maxAddresses))
        }
        return Set(addresses.prefix(Int(count)).map(IPAddress.init(ipv4:)))
    }

    private static func ipv6Addresses() throws(SystemCallError) -> Set<IPAddress> {
        let lines: [UInt8]
        do throws(SystemCallError) {
            lines = try NamespaceFile("net/if_inet6").read()
        } catch {
            // A kernel without IPv6 has no such file.
            if error.errno == .noSuchFileOrDirectory { return [] }
            throw error
        }
        return Set(lines.split(separator: UInt8(ascii: "\n")).compactMap(IPAddress.init(ipv6Digits:)))
    }
}
