internal import Linux
internal import Synchronization

/// Where clients connect: a socket that systemd passes, or one of the daemon's own.
final class ServerSocket: Sendable {
    private struct State {
        var listener: UnixListener
        /// The socket's file, by which a removed or replaced socket is noticed.
        var file: FileVersion?
        var isStopping = false
    }

    let path: String
    /// The group that may connect to a socket of the daemon's own; nil if systemd made the socket, and keeps it when the daemon
    /// ends.
    private let group: String?
    private let state: Mutex<State>

    init(path: String, ownedBySystemd passed: UnixListener) {
        self.path = path
        group = nil
        state = Mutex(State(listener: passed, file: FileVersion(of: path)))
    }

    /// Makes a socket.
    init(path: String, group: String) throws(UnixSocketError) {
        let listener = try UnixSocket.listen(on: path, group: group)
        self.path = path
        self.group = group
        state = Mutex(State(listener: listener, file: FileVersion(of: path)))
    }

    /// Where clients are accepted now.
    var listener: UnixListener { state.withLock(\.listener) }

    /// Has clients accepted by `accept`, which returns when its listener is stopped, until ``stop()``.
    func run(_ accept: (UnixListener) -> Void) {
        while let listener = state.withLock({ $0.isStopping ? nil : $0.listener }) { accept(listener) }
    }

    func stop() {
        state.withLock { state in
            state.isStopping = true
            state.listener.stop()
        }
    }

    /// Creates the daemon's own socket again if its file was removed. Connected clients are not affected.
    ///
    /// - Returns: whether it had gone.
    func ensureInPlace() throws(UnixSocketError) -> Bool {
        let known = state.withLock(\.file)
        if let known, known.isSameFile(as: FileVersion(of: path)) { return false }
        guard let group else { throw .removed(path) }
        // Any user can lock the folder.
        let listener = try UnixSocket.listen(on: path, group: group, waits: false)
        let file = FileVersion(of: path)
        state.withLock { state in
            let old = state.listener
            (state.listener, state.file) = (listener, file)
            if state.isStopping { listener.stop() }
            old.stop()
        }
        return true
    }

    /// Takes the daemon's own out of the file system.
    func remove() {
        let isInPlace = state.withLock(\.file)?.isSameFile(as: FileVersion(of: path)) ?? false
        if group != nil && isInPlace { try? Files.remove(path) }
    }
}
