/// Closes netlink sockets later, where nobody waits.
///
/// A deleted rule costs the next `close` of a socket of its namespace an RCU grace period, up to 24 ms; after 50 ms that is
/// over. Until then the socket keeps the namespace alive.
package final class DeferredCloser: Sendable {
    private struct State {
        /// By time.
        var waiting: [(until: Instant, socket: SharedDescriptor)] = []
        var isStopping = false
    }

    private let state = Monitor(State())
    private let thread: Thread
    private static let delay = Interval.milliseconds(50)

    package init() throws(SystemCallError) {
        thread = try Thread.start("closer") { [state] in Self.run(state) }
    }

    package func add(_ socket: SharedDescriptor) {
        let until = Instant.now + Self.delay
        // The thread sleeps until the first one's time; only where there was none it has to be woken.
        let wasEmpty = state.withLock { state in
            state.waiting.append((until, socket))
            return state.waiting.count == 1
        }
        if wasEmpty { state.update { _ in } }
    }

    /// Closes what waits, and ends the thread.
    package func stop() {
        state.update { $0.isStopping = true }
        thread.join()
    }

    private static func run(_ state: Monitor<State>) {
        while true {
            let due = state.waitWithMovingDeadline { state, next -> [SharedDescriptor]? in
                next = state.waiting.first?.until
                let now = Instant.now
                let count = state.isStopping ? state.waiting.count : state.waiting.prefix { $0.until <= now }.count
                if count == 0 { return state.isStopping ? [] : nil }
                defer { state.waiting.removeFirst(count) }
                return state.waiting.prefix(count).map(\.socket)
            }
            // They are closed here, when the last reference goes.
            if due?.isEmpty == true { return }
        }
    }
}
