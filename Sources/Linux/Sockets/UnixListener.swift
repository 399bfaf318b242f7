internal import CLinux
internal import Glibc
internal import SystemPackage

/// A connection that was accepted, and who made it.
package struct AcceptedConnection: ~Copyable, Sendable {
    /// Non-blocking.
    package let socket: OwnedDescriptor
    package let credentials: PeerCredentials
    package let process: PeerProcess

    /// Gives the socket away to a new owner, who closes it.
    package consuming func releaseSocket() -> CInt {
        socket.release()
    }

    /// Sends a few bytes, for which a connection that is new has room, and closes.
    package consuming func close(sending bytes: [UInt8]) {
        // Whether they arrive is the client's concern.
        _ = unsafe bytes.withUnsafeBytes {
            unsafe send(socket.rawValue, $0.baseAddress, $0.count, CInt(MSG_NOSIGNAL | MSG_DONTWAIT))
        }
    }
}

/// Where a thread waits for clients, until `stop`.
///
/// The socket itself is never shut down: it may be systemd's, and go on with the next daemon.
package final class UnixListener: Sendable {
    private let socket: OwnedDescriptor
    private let wakeUp: OwnedDescriptor

    /// - Parameter socket: a listening socket.
    package init(_ socket: consuming OwnedDescriptor) throws(SystemCallError) {
        let wakeUp = OwnedDescriptor(adopting: try systemCall("eventfd", clinux_eventfd))
        // Another process may accept the client that poll reports: accept must not wait then.
        let flags = try systemCall("fcntl F_GETFL") { fcntl(socket.rawValue, F_GETFL) }
        try systemCall("fcntl F_SETFL") { fcntl(socket.rawValue, F_SETFL, flags | O_NONBLOCK) }
        self.socket = socket
        self.wakeUp = wakeUp
    }

    /// Waits for the next client.
    ///
    /// - Returns: nil once `stop` was called.
    /// - Throws: when there are no descriptors or no memory left, so that the caller can say so. That takes a moment, in which
    ///   others give some back.
    package func accept() throws(SystemCallError) -> AcceptedConnection? {
        while try waits(for: [socket.rawValue, wakeUp.rawValue], milliseconds: -1) {
            let number: CInt
            do throws(SystemCallError) {
                number = try systemCall("accept") { clinux_accept(socket.rawValue) }
            } catch {
                switch error.errno {
                // The client has gone already, or another process took it.
                case .connectionAbort, .resourceTemporarilyUnavailable: continue
                default: break
                }
                guard try waits(for: [wakeUp.rawValue], milliseconds: 100) else { return nil }
                throw error
            }
            let descriptor = OwnedDescriptor(adopting: number)
            let credentials = try PeerCredentials(of: descriptor)
            let process = PeerProcess(of: descriptor, credentials)
            return AcceptedConnection(socket: descriptor, credentials: credentials, process: process)
        }
        return nil
    }

    /// Ends `accept`, now and ever after. Clients that wait already stay with the socket.
    package func stop() {
        var one: UInt64 = 1
        _ = unsafe write(wakeUp.rawValue, &one, MemoryLayout<UInt64>.size)
    }

    /// - Returns: false if the wait was ended by `stop`.
    private func waits(for descriptors: [CInt], milliseconds: CInt) throws(SystemCallError) -> Bool {
        var questions = descriptors.map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }
        try systemCall("poll") { unsafe poll(&questions, nfds_t(questions.count), milliseconds) }
        return questions[questions.count - 1].revents == 0
    }
}
