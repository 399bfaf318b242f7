internal import Glibc
internal import SystemPackage

/// A connected Unix datagram socket that never waits: for messages to systemd and its journal.
package final class DatagramSocket: Sendable {
    private let socket: OwnedDescriptor
    private let path: String

    /// - Parameter path: with a leading `@` for one in the abstract namespace.
    package init(connectedTo path: String) throws(SystemCallError) {
        let number = try systemCall("socket AF_UNIX") {
            Glibc.socket(
                AF_UNIX,
                CInt(SOCK_DGRAM.rawValue) | CInt(SOCK_CLOEXEC.rawValue) | CInt(SOCK_NONBLOCK.rawValue), 0)
        }
        let descriptor = OwnedDescriptor(adopting: number)
        guard var address = UnixAddress(path) else { throw SystemCallError("connect \(path)", .fileNameTooLong) }
        try systemCall("connect \(path)") { unsafe address.with { unsafe connect(number, $0, $1) } }
        socket = descriptor
        self.path = path
    }

    /// Sends one datagram, or throws: EAGAIN if the reader is behind, EMSGSIZE if it is too long.
    package func send(_ bytes: [UInt8]) throws(SystemCallError) {
        try systemCall("send \(path)") {
            unsafe bytes.withUnsafeBytes {
                unsafe Glibc.send(socket.rawValue, $0.baseAddress, $0.count, CInt(MSG_NOSIGNAL))
            }
        }
    }
}
