internal import Bypass
internal import Datapath
internal import JSONRPC
internal import Linux
internal import Logging
internal import Synchronization

/// Goes from bypass to bypass, round after round: whether its namespace is still there, whether its rules still stand, and
/// whether what the daemon itself needs is in place.
///
/// Reading a namespace of which nothing has changed is a socket in it and one question, for the generation of its ruleset.
/// Nothing is kept open in between: a socket, or a descriptor of the namespace, would keep it alive.
final class ResyncLoop: Sendable {
    private let manager: BypassManager
    private let surroundings: Surroundings
    private let queue: WorkQueue
    /// In which every bypass is resynced once.
    private let period: Interval
    private let isStopping = Monitor(false)
    /// Leftovers are being removed.
    private let isRemoving = Atomic(false)

    /// Between two steps of a round, so that many bypasses do not wake the daemon for each.
    private static let shortestPause = Interval.milliseconds(100)

    /// - Parameter queue: where namespaces are read.
    init(_ manager: BypassManager, _ surroundings: Surroundings, queue: WorkQueue, seconds: Int) {
        self.manager = manager
        self.surroundings = surroundings
        self.queue = queue
        period = .seconds(seconds)
    }

    /// Goes on until ``stop()``. The calling thread is used up.
    ///
    /// - Parameter recovery: what has to be over first.
    func run(after recovery: Recovery) {
        recovery.waitUntilDone()
        while !pause(0, of: 1) {
            surroundings.restore()
            removeLeftovers()
            let all = manager.store.all
            if all.isEmpty {
                if pause(1, of: 1) { return }
                continue
            }
            let steps = min(all.count, Int(period.nanoseconds / Self.shortestPause.nanoseconds))
            let stepSize = (all.count + steps - 1) / steps
            for start in stride(from: 0, to: all.count, by: stepSize) {
                resync(all[start..<min(start + stepSize, all.count)])
                if pause(1, of: steps) { return }
            }
        }
    }

    /// Nothing new is begun.
    func stop() { isStopping.update { $0 = true } }

    /// - Returns: whether the loop has to end.
    private func pause(_ share: Int, of shares: Int) -> Bool {
        let end = Instant.now + Interval(nanoseconds: period.nanoseconds * UInt64(share) / UInt64(shares))
        return isStopping.wait(until: end) { $0 ? () : nil } != nil
    }

    /// However long that takes, there is one step at a time.
    private func resync(_ some: ArraySlice<(inode: UInt64, record: BypassRecord)>) {
        let left = Monitor(some.count)
        for (inode, record) in some {
            queue.add {
                self.manager.resync(inode, record)
                left.update { $0 -= 1 }
            }
        }
        left.wait { $0 == 0 ? () : nil }
    }

    /// Nothing waits for that, and it takes one thread at most: namespaces with leftovers may be slow to read.
    private func removeLeftovers() {
        guard !isRemoving.exchange(true, ordering: .acquiringAndReleasing) else { return }
        let due = manager.transition.leftovers.claimDue(at: BootClock.now)
        queue.add {
            for (inode, remnant) in due { self.manager.removeLeftovers(inode, remnant) }
            self.isRemoving.store(false, ordering: .releasing)
        }
    }
}
