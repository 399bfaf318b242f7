internal import CLinux
internal import Synchronization

/// Closes clients' sockets, and never waits for what their clients have sent along.
///
/// A descriptor that was sent and not taken is closed with the socket, and that can take as long as its sender likes, as
/// with a TCP socket under SO_LINGER. The kernel does not wait where the process or thread that closes is ending. So such
/// sockets go to a thread that does nothing but end.
package final class SocketReaper: Sendable {
    private let waiting = Monitor<[CInt]>([])

    /// Starts the thread that starts those threads. It ends with the process.
    package init() throws(SystemCallError) {
        try Thread.start("reaper") { [waiting] in
            while true { Self.close(waiting.wait { $0.isEmpty ? nil : $0.takeAll() }) }
        }
    }

    /// Closes a socket, at once or as soon as it can be done.
    package func close(_ socket: consuming StreamSocket) {
        guard let descriptor = socket.discard() else { return }
        let number = descriptor.release()
        waiting.update { $0.append(number) }
    }

    private static func close(_ numbers: [CInt]) {
        do throws(SystemCallError) {
            try systemCall("close_range CLOSE_RANGE_UNSHARE") {
                unsafe numbers.withUnsafeBufferPointer {
                    unsafe clinux_close_by_exit($0.baseAddress, UInt32($0.count))
                }
            }
        } catch {
            // No memory for a thread, or no room: then it takes what it takes, and holds up only others like these.
            for number in numbers { _ = OwnedDescriptor(adopting: number) }
        }
    }
}

extension [CInt] {
    fileprivate mutating func takeAll() -> [CInt] {
        defer { self = [] }
        return self
    }
}
