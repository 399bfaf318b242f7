internal import CLinux
internal import SystemPackage

/// A socket that sends the first packet of a connection, and waits for nothing.
package final class ProbeSocket: Sendable {
    private let descriptor: OwnedDescriptor
    /// No other socket of the namespace has it meanwhile.
    package let port: UInt16

    /// In the calling thread's network namespace.
    ///
    /// - Parameters:
    ///   - source: the address that sends; nil for that of the route.
    ///   - destination: of which family the socket is.
    package init(from source: IPAddress?, to destination: IPAddress, isTCP: Bool) throws(SystemCallError) {
        let address = source?.bytes ?? Array(repeating: 0, count: destination.bytes.count)
        var port: UInt16 = 0
        let number = try systemCall("socket of a probe") {
            unsafe clinux_probe_socket(address, UInt32(address.count), isTCP ? 1 : 0, &port)
        }
        descriptor = OwnedDescriptor(adopting: number)
        self.port = port
    }

    package func send(to address: IPAddress, port: UInt16) throws(SystemCallError) {
        let number = descriptor.rawValue
        try systemCall("connect of a probe") {
            unsafe clinux_probe_send(number, address.bytes, UInt32(address.bytes.count), port)
        }
    }
}
