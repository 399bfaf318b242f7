internal import Linux

/// When which bypass expires. The matcher ends it at that moment by itself; what is left then is to clean up.
final class ExpiryTimers: Sendable {
    private struct State {
        /// By inode.
        var deadlines: [UInt64: Instant] = [:]
        /// The event that the thread sleeps for.
        var next: Instant?
        var isStopping = false
    }

    private let state = Monitor(State())

    /// Sets the deadline of a namespace, in the place of an earlier one.
    ///
    /// - Parameter deadline: CLOCK_BOOTTIME in nanoseconds; 0 for none.
    func set(_ inode: UInt64, to deadline: UInt64) {
        if deadline == 0 { return cancel(inode) }
        let deadline = Instant(nanoseconds: deadline)
        let isEarlier = state.withLock { state in
            state.deadlines[inode] = deadline
            return state.next.map { deadline < $0 } ?? true
        }
        if isEarlier { state.update { _ in } }
    }

    func cancel(_ inode: UInt64) {
        state.withLock { _ = $0.deadlines.removeValue(forKey: inode) }
    }

    /// Calls `expire` for each namespace whose deadline has passed, once, until ``stop()``. The calling thread is used up.
    func run(_ expire: (UInt64) -> Void) {
        while true {
            let due = state.waitWithDeadline { state, deadline -> [UInt64]? in
                if state.isStopping { return [] }
                let now = Instant.now
                let due = state.deadlines.filter { $0.value <= now }.map(\.key)
                for inode in due { state.deadlines[inode] = nil }
                deadline = state.deadlines.values.min()
                state.next = deadline
                return due.isEmpty ? nil : due
            }
            guard let due else { continue }
            if due.isEmpty { return }
            for inode in due { expire(inode) }
        }
    }

    func stop() {
        state.update { $0.isStopping = true }
    }
}
