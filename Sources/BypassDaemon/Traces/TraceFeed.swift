internal import BypassAPI
internal import Linux

/// The lines of one trace, on their way from its thread to the thread of the client's connection.
final class TraceFeed: Sendable {
    private struct State {
        var lines: [[UInt8]] = []
        var isCancelled = false
        /// No line follows.
        var isOver = false
        var thread: Thread?
    }

    private let handle: Connection.Handle
    private let state = Monitor(State())

    /// Lines that the client has not read yet; of more connections it gets the number only.
    private static let capacity = 256

    /// - Parameter handle: of the connection that is woken.
    init(for handle: Connection.Handle) {
        self.handle = handle
    }

    // MARK: the trace's thread

    /// - Returns: false if there is no room.
    func add(_ line: [UInt8]) -> Bool {
        let hasRoom = state.withLock { state in
            guard state.lines.count < Self.capacity else { return false }
            state.lines.append(line)
            return true
        }
        if hasRoom { handle.wake() }
        return hasRoom
    }

    /// Adds the last line, for which there always is room.
    func finish(_ line: [UInt8]) {
        state.withLock { state in
            state.lines.append(line)
            state.isOver = true
        }
        handle.wake()
    }

    /// Whether no more lines are wanted.
    var isCancelled: Bool { state.withLock(\.isCancelled) }

    // MARK: the connection's thread

    /// Starts the trace's thread.
    func start(_ body: @escaping @Sendable () -> Void) throws(SystemCallError) {
        let thread = try Thread.start("trace", body)
        state.withLock { $0.thread = thread }
    }

    /// Whether lines are there, or may come.
    var isActive: Bool { state.withLock { !$0.lines.isEmpty || !$0.isOver } }

    /// Whether the client does not read fast enough.
    var isBehind: Bool { state.withLock { $0.isOver || $0.lines.count >= Self.capacity } }

    func next() -> [UInt8]? {
        state.withLock { $0.lines.isEmpty ? nil : $0.lines.removeFirst() }
    }

    /// Ends the trace: nothing of it is left in its namespace when this returns.
    func cancel() {
        let thread = state.withLock { state in
            state.isCancelled = true
            state.lines = []
            return state.thread
        }
        thread?.join()
    }
}

/// The traces that run, for what limits them: one in a namespace, and some in all.
final class RunningTraces: Sendable {
    /// The accounts that trace, by the inode of the namespace.
    private let accounts = Monitor<[UInt64: UInt32]>([:])

    /// The reason that there cannot be one more.
    enum Refusal: Error {
        case tooMany
        /// The namespace is being traced.
        case isTraced
    }

    func add(_ inode: UInt64, of account: UInt32) throws(Refusal) {
        let refusal: Refusal? = accounts.withLock { accounts in
            if accounts[inode] != nil { return .isTraced }
            let own = accounts.values.count { $0 == account }
            guard accounts.count < Limits.maxTraces, own < Limits.maxUserTraces else { return .tooMany }
            accounts[inode] = account
            return nil
        }
        if let refusal { throw refusal }
    }

    func remove(_ inode: UInt64) { accounts.withLock { $0[inode] = nil } }
}
