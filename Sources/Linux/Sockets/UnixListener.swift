internal import CLinux
internal import Glibc
internal import SystemPackage

/// A connection that was accepted, and who made it.
package struct AcceptedConnection: ~Copyable, Sendable {
    private let socket: StreamSocket
    package let credentials: PeerCredentials
    package let process: PeerProcess

    init(_ socket: consuming StreamSocket, _ credentials: PeerCredentials, _ process: PeerProcess) {
        self.socket = socket
        self.credentials = credentials
        self.process = process
    }

    package consuming func intoSocket() -> StreamSocket { socket }
}

/// A listener on which a thread waits for clients, until it is stopped.
///
/// The socket itself is never shut down: it may be systemd's, and go on with the next daemon.
package final class UnixListener: Sendable {
    private struct Checks {
        var isStopping = false
        /// The number of questions whether the thread still accepts clients, and of its answers.
        var asked = 0
        var answered = 0
    }

    private let socket: OwnedDescriptor
    private let wakeUp: EventDescriptor
    private let checks = Monitor(Checks())

    /// - Parameter socket: a listening socket.
    package init(_ socket: consuming OwnedDescriptor) throws(SystemCallError) {
        let wakeUp = try EventDescriptor()
        // Another process may take the client that poll reports: accept must not wait then.
        let flags = try systemCall("fcntl F_GETFL") { fcntl(socket.rawValue, F_GETFL) }
        try systemCall("fcntl F_SETFL") { fcntl(socket.rawValue, F_SETFL, flags | O_NONBLOCK) }
        StreamSocket.refuseDescriptors(socket)
        self.socket = socket
        self.wakeUp = wakeUp
    }

    /// Waits for the next client.
    ///
    /// - Returns: nil once `stop` was called.
    /// - Throws: when there are no descriptors or no memory left, so that the caller can say so. That takes a moment, in which
    ///   others give some back.
    package func accept() throws(SystemCallError) -> AcceptedConnection? {
        while true {
            if try wakeUp.wait(orFor: socket.rawValue) {
                if answerChecks() { return nil }
                continue
            }
            let number: CInt
            do throws(SystemCallError) {
                number = try systemCall("accept") { clinux_accept(socket.rawValue) }
            } catch {
                switch error.errno {
                // The client has gone already, or another process took it.
                case .connectionAbort, .resourceTemporarilyUnavailable: continue
                default: break
                }
                if try wakeUp.wait(milliseconds: 100), answerChecks() { return nil }
                throw error
            }
            let descriptor = OwnedDescriptor(adopting: number)
            let credentials = try PeerCredentials(of: descriptor)
            let process = PeerProcess(of: descriptor, credentials)
            return AcceptedConnection(StreamSocket(descriptor), credentials, process)
        }
    }

    /// Ends `accept`, now and ever after. Clients that wait already stay with the socket.
    package func stop() {
        checks.update { $0.isStopping = true }
        wakeUp.signal()
    }

    /// Returns when the thread that accepts has come round once more, or `stop` was called.
    package func waitUntilAnswering() {
        let number = checks.withLock { checks in
            checks.asked += 1
            return checks.asked
        }
        wakeUp.signal()
        checks.wait { $0.answered >= number || $0.isStopping ? () : nil }
    }

    /// - Returns: whether the listener has been stopped.
    private func answerChecks() -> Bool {
        wakeUp.clear()
        return checks.update { checks in
            checks.answered = checks.asked
            return checks.isStopping
        }
    }
}
