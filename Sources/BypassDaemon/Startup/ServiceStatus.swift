internal import Linux
internal import NIOCore
internal import NIOPosix
internal import Synchronization

/// What systemd is told: that the daemon is ready, that it lives, and how many namespaces are bypassed.
final class ServiceStatus: Sendable {
    private struct State {
        var bypassed = 0
        /// What else an administrator should see in `systemctl status`: of the policy, and of the pins.
        var remark: String?
        var trouble: String?
        var isReady = false
    }

    private let state = Mutex(State())

    /// Clients are answered from now on.
    func ready(bypassed: Int) {
        let text = state.withLock { state in
            (state.bypassed, state.isReady) = (bypassed, true)
            return Self.text(state)
        }
        Systemd.notify("READY=1", "STATUS=" + text)
    }

    /// The number of bypassed namespaces, however often it is said.
    ///
    /// - Parameter background: where systemd is told: nobody waits for that.
    func bypassed(_ count: Int, on background: any EventLoop) {
        let text: String? = state.withLock { state in
            guard state.bypassed != count else { return nil }
            state.bypassed = count
            return state.isReady ? Self.text(state) : nil
        }
        guard let text else { return }
        background.execute { Systemd.notify("STATUS=" + text) }
    }

    /// What is wrong with the daemon's surroundings, however often it is said; nil if nothing is.
    ///
    /// - Parameter background: as above.
    /// - Returns: whether that is something new.
    @discardableResult
    func trouble(_ trouble: String?, on background: any EventLoop) -> Bool {
        let text: String? = state.withLock { state in
            guard state.trouble != trouble else { return nil }
            state.trouble = trouble
            return Self.text(state)
        }
        guard let text else { return false }
        background.execute { Systemd.notify("STATUS=" + text) }
        return true
    }

    /// Around a reload of the policy (sd_notify(3), `RELOADING=1`).
    ///
    /// - Parameter body: gives what an administrator should know of it; nil if all is well.
    func reloading(_ body: () -> String?) {
        Systemd.notify("RELOADING=1", "MONOTONIC_USEC=\(Systemd.monotonicMicroseconds)")
        let remark = body()
        let text = state.withLock { state in
            state.remark = remark
            return Self.text(state)
        }
        Systemd.notify("READY=1", "STATUS=" + text)
    }

    func stopping() {
        Systemd.notify("STOPPING=1")
    }

    private static func text(_ state: State) -> String {
        let count = state.bypassed == 1 ? "1 namespace bypassed" : "\(state.bypassed) namespaces bypassed"
        return [count, state.trouble, state.remark].compactMap(\.self).joined(separator: "; ")
    }

    // MARK: watchdog

    /// Tells systemd twice in the time that it allows that the daemon lives, each time after every event loop and a thread
    /// of the engine have done something. Does nothing if systemd does not ask for it.
    ///
    /// - Returns: what has to be cancelled, and waited for, before any of the loops ends.
    static func startWatchdog(
        _ loops: MultiThreadedEventLoopGroup, _ threads: NIOThreadPool, on background: any EventLoop
    ) -> RepeatedTask? {
        guard let allowed = Systemd.watchdogMicroseconds else { return nil }
        let interval = TimeAmount.microseconds(allowed / 2)
        return background.scheduleRepeatedAsyncTask(initialDelay: .zero, delay: interval) { _ in
            let alive = loops.makeIterator().map { $0.submit {} } + [threads.runIfActive(eventLoop: background) {}]
            return EventLoopFuture.andAllSucceed(alive, on: background).map { Systemd.notify("WATCHDOG=1") }
        }
    }
}
