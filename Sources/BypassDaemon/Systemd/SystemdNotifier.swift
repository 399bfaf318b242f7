internal import Linux
internal import Synchronization

/// The reports to systemd by sd_notify(3): that the daemon is ready, that it lives, and how many namespaces are bypassed.
final class SystemdNotifier: Sendable {
    fileprivate struct State {
        var bypassed = 0
        /// What else an administrator should see in `systemctl status`: of the policy, and of the pins.
        var policyError: String?
        var fault: String?
        var isReady = false
        var isScheduled = false

        var text: String {
            let count = bypassed == 1 ? "1 namespace bypassed" : "\(bypassed) namespaces bypassed"
            return [count, fault, policyError].compactMap(\.self).joined(separator: "; ")
        }
    }

    private let state = Mutex(State())
    private let queue: WorkQueue

    /// - Parameter queue: sends the status line, so that no call waits for it.
    init(queue: WorkQueue) {
        self.queue = queue
    }

    /// Clients are answered from now on.
    func ready(bypassed: Int) {
        let text = state.withLock { state in
            (state.bypassed, state.isReady) = (bypassed, true)
            return state.text
        }
        Systemd.notify("READY=1", "STATUS=" + text)
    }

    /// The number of bypassed namespaces. It may be repeated: only a change is sent.
    func bypassed(_ count: Int) {
        let mustSend = state.withLock { state in
            guard state.bypassed != count else { return false }
            state.bypassed = count
            return state.schedule()
        }
        if mustSend { send() }
    }

    /// The fault in the daemon's surroundings; nil if there is none. It may be repeated.
    func setFault(_ fault: String?) {
        let mustSend = state.withLock { state in
            guard state.fault != fault else { return false }
            state.fault = fault
            return state.schedule()
        }
        if mustSend { send() }
    }

    /// Around a reload of the policy (sd_notify(3), `RELOADING=1`).
    ///
    /// - Parameter body: gives what an administrator should know of it; nil if all is well.
    func reloading(_ body: () -> String?) {
        Systemd.notify("RELOADING=1", "MONOTONIC_USEC=\(Systemd.monotonicMicroseconds)")
        let error = body()
        let text = state.withLock { state in
            state.policyError = error
            return state.text
        }
        Systemd.notify("READY=1", "STATUS=" + text)
    }

    func stopping() {
        Systemd.notify("STOPPING=1")
    }

    /// However much changes meanwhile, the status line follows once.
    private func send() {
        queue.add(at: .now + Self.delay) {
            let text = self.state.withLock { state in
                state.isScheduled = false
                return state.text
            }
            Systemd.notify("STATUS=" + text)
        }
    }

    private static let delay = Interval.milliseconds(50)
}

extension SystemdNotifier.State {
    /// - Returns: whether a status line has to be sent that is not on its way.
    fileprivate mutating func schedule() -> Bool {
        if !isReady || isScheduled || !Systemd.isPresent { return false }
        isScheduled = true
        return true
    }
}

/// Pings systemd's watchdog twice per timeout, each time after the acceptor has answered, the gate has admitted a call,
/// and the locks that calls need were free. No namespace is read, so a slow one does not stop the pings. Does nothing
/// if systemd has no watchdog set.
final class Watchdog: Sendable {
    private let socket: ServerSocket
    private let gate: NamespaceGate
    private let takeLocks: @Sendable () -> Void
    private let isStopping = Monitor(false)

    /// - Parameter takeLocks: returns when each lock that every call needs was free.
    init(_ socket: ServerSocket, _ gate: NamespaceGate, takeLocks: @escaping @Sendable () -> Void) {
        self.socket = socket
        self.gate = gate
        self.takeLocks = takeLocks
    }

    /// Whether systemd expects to hear from the daemon.
    static var isWanted: Bool { Systemd.watchdogMicroseconds != nil }

    /// Goes on until ``stop()``. The calling thread is used up.
    func run() {
        guard let allowed = Systemd.watchdogMicroseconds else { return }
        let interval = Interval.microseconds(Int(allowed)) / 2
        repeat {
            // Where one of these hangs, so does this, and systemd restarts the daemon.
            socket.listener.waitUntilAnswering()
            gate.leave(gate.enter(.watchdog))
            takeLocks()
            Systemd.notify("WATCHDOG=1")
        } while isStopping.wait(until: .now + interval) { $0 ? () : nil } == nil
    }

    func stop() { isStopping.update { $0 = true } }
}
