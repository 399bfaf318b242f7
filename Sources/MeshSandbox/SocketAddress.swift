internal import Glibc

/// The address that a socket is bound to or connects to.
struct SocketAddress: Sendable, CustomStringConvertible {
    let family: CInt
    let description: String
    /// As the kernel takes it.
    private let bytes: [UInt8]

    /// - Returns: nil if `text` is neither an IPv4 nor an IPv6 address.
    init?(ip text: String, port: Int) {
        let networkPort = in_port_t(port).bigEndian
        var address4 = sockaddr_in()
        var address6 = sockaddr_in6()
        if unsafe inet_pton(AF_INET, text, &address4.sin_addr) == 1 {
            address4.sin_family = sa_family_t(AF_INET)
            address4.sin_port = networkPort
            self.init(AF_INET, address4, "\(text):\(port)")
        } else if unsafe inet_pton(AF_INET6, text, &address6.sin6_addr) == 1 {
            address6.sin6_family = sa_family_t(AF_INET6)
            address6.sin6_port = networkPort
            self.init(AF_INET6, address6, "[\(text)]:\(port)")
        } else {
            return nil
        }
    }

    /// - Returns: nil if the path does not fit (108 bytes with its NUL).
    init?(unix path: String) {
        var address = sockaddr_un()
        guard path.utf8.count < MemoryLayout.size(ofValue: address.sun_path) else { return nil }
        address.sun_family = sa_family_t(AF_UNIX)
        unsafe withUnsafeMutableBytes(of: &address.sun_path) { unsafe $0.copyBytes(from: path.utf8) }
        self.init(AF_UNIX, address, path)
    }

    private init<Address>(_ family: CInt, _ address: Address, _ description: String) {
        self.family = family
        self.description = description
        bytes = unsafe withUnsafeBytes(of: address) { unsafe Array($0) }
    }

    func with<Result>(_ body: (UnsafePointer<sockaddr>, socklen_t) -> Result) -> Result {
        unsafe bytes.withUnsafeBytes {
            unsafe body($0.baseAddress!.assumingMemoryBound(to: sockaddr.self), socklen_t($0.count))
        }
    }
}
