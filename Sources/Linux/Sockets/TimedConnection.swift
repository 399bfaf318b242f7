internal import CLinux
internal import Glibc
internal import SystemPackage

/// A TCP connection for measuring: it blocks, for at most so long a call.
package final class TimedConnection: Sendable {
    private let descriptor: OwnedDescriptor

    /// Connects. The socket belongs to the control group and the network namespace that the caller is in now.
    ///
    /// Throws ETIMEDOUT after `timeout`, as every call does.
    package init(to address: IPAddress, port: UInt16, timeout: Interval) throws(SystemCallError) {
        let bytes = address.bytes
        let number = try Self.timed("connect") {
            unsafe clinux_connect(bytes, UInt32(bytes.count), port, UInt32(timeout.nanoseconds / 1_000_000))
        }
        descriptor = OwnedDescriptor(adopting: number)
    }

    package func send(_ text: String) throws(SystemCallError) {
        var rest = Array(text.utf8)[...]
        while !rest.isEmpty {
            let sent = try Self.timed("send") {
                unsafe rest.withUnsafeBytes {
                    unsafe Glibc.send(descriptor.rawValue, $0.baseAddress, $0.count, CInt(MSG_NOSIGNAL))
                }
            }
            rest = rest.dropFirst(sent)
        }
    }

    /// The received bytes; none at the end.
    package func receive() throws(SystemCallError) -> ArraySlice<UInt8> {
        var chunk = [UInt8](repeating: 0, count: 16384)
        let count = try Self.timed("recv") {
            unsafe chunk.withUnsafeMutableBytes { unsafe recv(descriptor.rawValue, $0.baseAddress, $0.count, 0) }
        }
        return chunk[..<count]
    }

    /// A socket's own timeouts come as EAGAIN and, from connect, as EINPROGRESS; neither says what happened.
    private static func timed<Result: FixedWidthInteger & SignedInteger>(
        _ operation: String, _ body: () -> Result
    ) throws(SystemCallError) -> Result {
        do {
            return try systemCall(operation, body)
        } catch let error where error.errno == .resourceTemporarilyUnavailable || error.errno == .nowInProgress {
            throw SystemCallError(operation, .timedOut)
        }
    }
}
