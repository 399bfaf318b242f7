internal import CLinux
internal import Glibc
internal import SystemPackage

/// An IPv4 or IPv6 address.
package struct IPAddress: Hashable, Sendable {
    /// In network byte order: 4 or 16.
    package let bytes: [UInt8]

    /// Takes what inet_pton(3) takes: `10.0.0.1`, `fd00::1`. nil for everything else.
    package init?(_ text: String) {
        for (family, size) in [(AF_INET, 4), (AF_INET6, 16)] {
            var bytes = [UInt8](repeating: 0, count: size)
            if unsafe inet_pton(family, text, &bytes) == 1 {
                self.bytes = bytes
                return
            }
        }
        return nil
    }

    package init(bytes: [UInt8]) {
        self.bytes = bytes
    }

    /// - Parameter address: in network byte order.
    fileprivate init(ipv4 address: UInt32) {
        self.init(bytes: unsafe withUnsafeBytes(of: address) { unsafe Array($0) })
    }

    /// nil unless the text begins with 32 hexadecimal digits, as a line of /proc/net/if_inet6 does.
    fileprivate init?(ipv6Digits text: some Collection<UInt8>) {
        let digits = text.prefix(32).compactMap { Character(Unicode.Scalar($0)).hexDigitValue.map(UInt8.init) }
        guard digits.count == 32 else { return nil }
        self.init(bytes: stride(from: 0, to: 32, by: 2).map { digits[$0] << 4 | digits[$0 + 1] })
    }
}

extension IPAddress {
    /// 127.0.0.0/8 or ::1.
    package var isLoopback: Bool {
        bytes.count == 4 ? bytes[0] == 127 : bytes.last == 1 && bytes.dropLast().allSatisfy { $0 == 0 }
    }
}

extension IPAddress: CustomStringConvertible {
    package var description: String {
        var text = [CChar](repeating: 0, count: Int(INET6_ADDRSTRLEN))
        let family = bytes.count == 4 ? AF_INET : AF_INET6
        guard unsafe inet_ntop(family, bytes, &text, socklen_t(text.count)) != nil else { return "\(bytes)" }
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
            lines = try Files.read(ofThread: "net/if_inet6")
        } catch {
            // A kernel without IPv6 has no such file.
            if error.errno == .noSuchFileOrDirectory { return [] }
            throw error
        }
        return Set(lines.split(separator: UInt8(ascii: "\n")).compactMap(IPAddress.init(ipv6Digits:)))
    }
}
