internal import CLinux
internal import Synchronization

/// Closes netlink sockets later, on a thread of its own.
///
/// A deleted rule costs the next `close` of a socket of its namespace an RCU grace period, up to 24 ms; after 50 ms that is
/// over. Until then the socket keeps the namespace alive.
package final class DeferredCloser: Sendable {
    private struct State {
        /// By time.
        var waiting: [(until: Instant, socket: SharedDescriptor)] = []
        var isStopping = false
    }

    /// A timer of the kernel's, for which the thread sleeps: to set it costs a call much less than to wake the thread, which
    /// would only go back to sleep.
    private struct Timer: ~Copyable, Sendable {
        private let descriptor: OwnedDescriptor

        init() throws(SystemCallError) {
            descriptor = OwnedDescriptor(adopting: try systemCall("timerfd_create", clinux_timer))
        }

        func set(to time: Instant) {
            _ = clinux_timer_set(descriptor.rawValue, max(time.nanoseconds, 1))
        }

        func wait() {
            _ = clinux_timer_wait(descriptor.rawValue)
        }
    }

    /// The state that the thread shares with its callers.
    private final class Shared: Sendable {
        let state = Mutex(State())
        let timer: Timer

        init() throws(SystemCallError) {
            timer = try Timer()
        }
    }

    private let shared: Shared
    private let thread: Thread
    private static let delay = Interval.milliseconds(50)
    /// Those whose time comes within that are closed together: each time the thread runs costs calls a processor.
    private static let pause = Interval.milliseconds(10)

    package init() throws(SystemCallError) {
        let shared = try Shared()
        self.shared = shared
        thread = try Thread.start("closer") { Self.run(shared) }
    }

    package func add(_ socket: SharedDescriptor) {
        let until = Instant.now + Self.delay
        // The timer is set to the first one's time.
        let isFirst = shared.state.withLock { state in
            state.waiting.append((until, socket))
            return state.waiting.count == 1
        }
        if isFirst { shared.timer.set(to: until) }
    }

    /// Closes what waits, and ends the thread.
    package func stop() {
        shared.state.withLock { $0.isStopping = true }
        shared.timer.set(to: .now)
        thread.join()
    }

    private static func run(_ shared: Shared) {
        while true {
            shared.timer.wait()
            let now = Instant.now
            let (due, next, isStopping) = shared.state.withLock { state in
                let count = state.isStopping ? state.waiting.count : state.waiting.prefix { $0.until <= now }.count
                defer { state.waiting.removeFirst(count) }
                let next = state.waiting.dropFirst(count).first?.until
                return (state.waiting.prefix(count).map(\.socket), next, state.isStopping)
            }
            if let next { shared.timer.set(to: max(next, now + pause)) }
            // They are closed here, when the last reference goes.
            _ = consume due
            if isStopping { return }
        }
    }
}
