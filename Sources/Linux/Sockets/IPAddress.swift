internal import Glibc

/// An IPv4 or IPv6 address.
package struct IPAddress: Hashable, Sendable {
    /// In network byte order: 4 or 16.
    private let bytes: [UInt8]

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

    /// nil if the socket address is of another family.
    init?(_ address: UnsafePointer<sockaddr>) {
        switch CInt(unsafe address.pointee.sa_family) {
        case AF_INET:
            bytes = unsafe address.withMemoryRebound(to: sockaddr_in.self, capacity: 1) {
                unsafe Self.bytes(of: $0.pointee.sin_addr)
            }
        case AF_INET6:
            bytes = unsafe address.withMemoryRebound(to: sockaddr_in6.self, capacity: 1) {
                unsafe Self.bytes(of: $0.pointee.sin6_addr)
            }
        default: return nil
        }
    }

    private static func bytes<Address>(of address: Address) -> [UInt8] {
        unsafe withUnsafeBytes(of: address) { unsafe Array($0) }
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
    package borrowing func addresses() throws(SystemCallError) -> Set<IPAddress> {
        try withEntered { () throws(SystemCallError) -> Set<IPAddress> in
            var first: UnsafeMutablePointer<ifaddrs>?
            try systemCall("getifaddrs") { unsafe getifaddrs(&first) }
            defer { unsafe freeifaddrs(first) }
            var found: Set<IPAddress> = []
            var next = unsafe first
            while let interface = unsafe next {
                if let address = unsafe interface.pointee.ifa_addr.flatMap({ unsafe IPAddress($0) }) {
                    found.insert(address)
                }
                unsafe next = interface.pointee.ifa_next
            }
            return found
        }
    }
}
