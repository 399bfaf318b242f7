internal import CLinux

/// Closes what is open in namespaces later, on a thread of its own: netlink sockets above all.
///
/// A deleted rule costs the next `close` of a socket of its namespace an RCU grace period, up to 24 ms; after 50 ms that is
/// over. Until then what is open keeps the namespace alive.
package final class DeferredCloser: Sendable {
    private enum Item: Sendable {
        case open(any AnyObject & Sendable)
        case work(@Sendable (_ isStopping: Bool) -> Void)
    }

    private struct State {
        /// By time.
        var waiting: [(until: Instant, item: Item)] = []
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
        let state = Monitor(State())
        let timer: Timer

        init() throws(SystemCallError) {
            timer = try Timer()
        }
    }

    private let shared: Shared
    private let thread: Thread
    /// Those whose time comes within that are closed together: each time the thread runs costs calls a processor.
    private static let pause = Interval.milliseconds(10)

    package init() throws(SystemCallError) {
        let shared = try Shared()
        self.shared = shared
        thread = try Thread.start("closer") { Self.run(shared) }
    }

    /// - Parameters:
    ///   - open: closed when the last reference to it goes.
    ///   - delay: how long it is referred to here.
    package func add(_ open: any AnyObject & Sendable, for delay: Interval = .milliseconds(50)) {
        add(.open(open), for: delay)
    }

    /// Runs `work` on the closer's thread after the delay, or when the closer stops, whichever is first. It closes what the
    /// caller keeps.
    package func add(after delay: Interval, _ work: @escaping @Sendable (_ isStopping: Bool) -> Void) {
        add(.work(work), for: delay)
    }

    private func add(_ item: Item, for delay: Interval) {
        let until = Instant.now + delay
        shared.state.withLock { state in
            let place = state.waiting.lastIndex { $0.until <= until }.map { $0 + 1 } ?? 0
            state.waiting.insert((until, item), at: place)
            // The timer is set to the first one's time; ``stop()`` has set it to its own.
            if place == 0 && !state.isStopping { shared.timer.set(to: until) }
        }
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
            let (due, isStopping) = shared.state.withLock { state in
                let count = state.isStopping ? state.waiting.count : state.waiting.prefix { $0.until <= now }.count
                defer { state.waiting.removeFirst(count) }
                let next = state.waiting.dropFirst(count).first?.until
                if let next { shared.timer.set(to: max(next, now + pause)) }
                return (state.waiting.prefix(count).map(\.item), state.isStopping)
            }
            for case .work(let work) in due { work(isStopping) }
            // They are closed here. Without this line the compiler may release them earlier, under the lock.
            withExtendedLifetime(due) {}
            if isStopping { return }
        }
    }
}
