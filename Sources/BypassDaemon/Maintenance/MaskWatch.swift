internal import Linux
internal import Logging
internal import Netfilter

/// Has a bypass resynced at once when the ruleset of its namespace changes, for those that have a mask: with only one of its
/// two chains left, no new connection reaches the pod, and the next round of ``ResyncLoop`` may be seconds away.
final class MaskWatch: Sendable {
    private struct State {
        /// By the namespaces' numbers in the daemon's own.
        var inodes: [Int32: UInt64] = [:]
        /// Those that are being resynced, and whether they have changed since that began.
        var running: [UInt64: Bool] = [:]
        var isStopping = false
    }

    private let state = Monitor(State())
    private let wakeUp: EventDescriptor
    private let queue: WorkQueue
    private let logger: Logger

    /// A namespace that changes all the time is not read more often than that.
    private static let pause = Interval.milliseconds(50)

    /// - Parameter queue: where namespaces are read.
    init(queue: WorkQueue, logger: Logger) throws(SystemCallError) {
        wakeUp = try EventDescriptor()
        self.queue = queue
        self.logger = logger
    }

    /// From now on the namespace is watched. Nothing of it is kept open.
    ///
    /// - Parameter socket: one in the namespace.
    func add(_ inode: UInt64, _ socket: SharedDescriptor) {
        if state.withLock({ $0.inodes.values.contains(inode) }) { return }
        do {
            var routing = try NetlinkSocket(for: .routing)
            let number = try routing.number(of: NetworkNamespace(of: socket.descriptor))
            state.update { $0.inodes[number] = inode }
            wakeUp.signal()
        } catch {
            // The next round of the resync tries again.
            logger.debug("a namespace cannot be watched", metadata: ["inode": "\(inode)", "error": "\(error)"])
        }
    }

    func remove(_ inode: UInt64) {
        let isLast = state.withLock { state in
            guard let index = state.inodes.firstIndex(where: { $0.value == inode }) else { return false }
            state.inodes.remove(at: index)
            return state.inodes.isEmpty
        }
        if isLast { wakeUp.signal() }
    }

    /// Calls `resync` for namespaces that have changed, until ``stop()``. The calling thread is used up.
    func run(_ resync: @escaping @Sendable (UInt64) -> Void) {
        while !state.wait({ $0.isStopping || !$0.inodes.isEmpty ? $0.isStopping : nil }) {
            do throws(SystemCallError) {
                try listen(resync)
            } catch {
                logger.notice(
                    "damage to a bypass of TPROXY is found by the next check only, not at once",
                    metadata: ["error": "\(error)"])
                return
            }
        }
    }

    func stop() {
        state.update { $0.isStopping = true }
        wakeUp.signal()
    }

    /// While there is a namespace to watch: every change of a ruleset costs more while a socket listens.
    private func listen(_ resync: @escaping @Sendable (UInt64) -> Void) throws(SystemCallError) {
        let listener = try RulesetListener()
        // What has changed before.
        var changed = state.withLock { Array($0.inodes.values) }
        while true {
            for inode in changed { begin(resync, inode) }
            if state.wait(until: .now + Self.pause, { $0.isStopping ? () : nil }) != nil { return }
            let numbers = try listener.changes(orUntil: wakeUp)
            let inodes = state.withLock { $0.isStopping ? [:] : $0.inodes }
            if inodes.isEmpty { return }
            // Woken by a new one: it may have changed before it was known here.
            changed = numbers.map { $0.compactMap { inodes[$0] } } ?? Array(inodes.values)
        }
    }

    /// One at a time for each namespace, and once more if it has changed meanwhile.
    private func begin(_ resync: @escaping @Sendable (UInt64) -> Void, _ inode: UInt64) {
        let isRunning = state.withLock { state in
            if state.running[inode] == nil {
                state.running[inode] = false
                return false
            }
            state.running[inode] = true
            return true
        }
        if isRunning { return }
        queue.add { [self] in
            resync(inode)
            let isAgain = state.withLock { $0.running.removeValue(forKey: inode) == true }
            if isAgain { begin(resync, inode) }
        }
    }
}
