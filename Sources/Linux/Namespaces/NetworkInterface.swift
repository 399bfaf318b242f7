internal import Glibc
internal import SystemPackage

/// An interface of a network namespace.
package struct NetworkInterface: Hashable, Sendable {
    package var name: String
    package var index: UInt32
}

extension NetworkNamespace {
    /// More are not what a pod has.
    private static let maxInterfaces = 64

    /// All interfaces but the loopback; nil if there are more than are read, or one has gone meanwhile.
    ///
    /// Not from netlink, on which if_nameindex(3) waits as long as other processes of the namespace send to it.
    package borrowing func interfaces() throws(SystemCallError) -> [NetworkInterface]? {
        try withEntered { () throws(SystemCallError) -> [NetworkInterface]? in
            // Two lines of titles, then a name and a colon in each.
            let lines = try NamespaceFile("net/dev").read().split(separator: UInt8(ascii: "\n")).dropFirst(2)
            guard lines.count <= Self.maxInterfaces else { return nil }
            var interfaces: [NetworkInterface] = []
            for line in lines {
                let word = line.drop { $0 == UInt8(ascii: " ") }.prefix { $0 != UInt8(ascii: ":") }
                let name = String(decoding: word, as: UTF8.self)
                if name == "lo" { continue }
                let index = unsafe if_nametoindex(name)
                guard index != 0 else { return nil }
                interfaces.append(NetworkInterface(name: name, index: index))
            }
            return interfaces
        }
    }
}
