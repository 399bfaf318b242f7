internal import BypassPolicy
internal import Linux
internal import Synchronization

/// The socket that clients connect to: one that systemd passes, or the daemon's own.
final class ServerSocket: Sendable {
    private struct State {
        var listener: UnixListener
        /// The socket's file, by which a removed or replaced socket is noticed.
        var file: FileVersion?
        /// The group has no number yet, since no server of accounts has answered: only root can connect.
        var lacksGroup = false
        var isStopping = false
    }

    let path: String
    /// The group that may connect to a socket of the daemon's own; nil if systemd made the socket, and keeps it when the daemon
    /// ends.
    private let group: Group?
    private let state: Mutex<State>

    private struct Group {
        let name: String
        let accounts: AccountResolver

        /// - Returns: nil as the number if there is no such group, or that cannot be found out now.
        func find(within time: Interval) -> (id: UInt32?, isKnown: Bool) {
            do {
                return (try accounts.find(.group(name), by: .now + time), true)
            } catch {
                return (nil, false)
            }
        }
    }

    /// The time that the thread which restores the socket waits for the group's number: it has other work.
    private static let shortWait = Interval.milliseconds(100)

    init(path: String, ownedBySystemd passed: UnixListener) {
        self.path = path
        group = nil
        state = Mutex(State(listener: passed, file: try? FileVersion(of: path)))
    }

    /// Makes a socket.
    init(path: String, group name: String, _ accounts: AccountResolver) throws(UnixSocketError) {
        let group = Group(name: name, accounts: accounts)
        let (id, isKnown) = group.find(within: AccountResolver.maxWait)
        let listener = try UnixSocket.listen(on: path, group: id)
        self.path = path
        self.group = group
        state = Mutex(State(listener: listener, file: try? FileVersion(of: path), lacksGroup: !isKnown))
    }

    /// The listener that accepts clients now.
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
        let (known, lacksGroup) = state.withLock { ($0.file, $0.lacksGroup) }
        let found: FileVersion?
        do throws(SystemCallError) {
            found = try FileVersion(of: path)
        } catch {
            throw .systemCall(error)
        }
        if let known, known.isSameFile(as: found) {
            if lacksGroup { try admitGroup() }
            return false
        }
        guard let group else { throw .removed(path) }
        let (id, isKnown) = group.find(within: Self.shortWait)
        // Any user can lock the folder.
        let listener = try UnixSocket.listen(on: path, group: id, waits: false)
        let file = try? FileVersion(of: path)
        state.withLock { state in
            let old = state.listener
            (state.listener, state.file, state.lacksGroup) = (listener, file, !isKnown)
            if state.isStopping { listener.stop() }
            old.stop()
        }
        return true
    }

    /// Opens the socket to its group, once that is known.
    private func admitGroup() throws(UnixSocketError) {
        guard let group else { return }
        let (id, isKnown) = group.find(within: Self.shortWait)
        guard isKnown else { throw .unknownGroup(group.name) }
        if let id { try UnixSocket.admit(id, to: path) }
        state.withLock { $0.lacksGroup = false }
    }

    /// Takes the daemon's own out of the file system.
    func remove() {
        let isInPlace = state.withLock(\.file)?.isSameFile(as: try? FileVersion(of: path)) ?? false
        if group != nil && isInPlace { try? Files.remove(path) }
    }
}
