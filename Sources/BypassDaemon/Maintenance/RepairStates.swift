internal import Linux
internal import Retry

/// The state of bypasses that are not healthy, or were not long ago; by inode.
final class RepairStates: Sendable {
    struct RepairState {
        /// Whether subscribers know that it is degraded.
        var isDegraded = false
        /// When it may be repaired again: at once the first time. CLOCK_BOOTTIME, in nanoseconds.
        private(set) var nextAttempt: UInt64 = 0
        private var backoff = ExponentialBackoff.repair
        /// When it may be read again without a call: a namespace that keeps threads waiting is not read in every round.
        private(set) var nextReading: UInt64 = 0
        private var readingBackoff = ExponentialBackoff.repair
        /// The same error again is not logged.
        var lastLoggedError: String?

        /// Whether it may be repaired now, which then counts as an attempt.
        mutating func claimAttempt(at now: UInt64) -> Bool {
            guard now >= nextAttempt else { return false }
            nextAttempt = now + UInt64(backoff.next() / .nanoseconds(1))
            return true
        }

        /// It could not be read, and that took long.
        mutating func postponeReading(from now: UInt64) {
            nextReading = now + UInt64(readingBackoff.next() / .nanoseconds(1))
        }
    }

    private let states = Monitor<[UInt64: RepairState]>([:])

    subscript(inode: UInt64) -> RepairState { states.withLock { $0[inode] ?? RepairState() } }

    func update<Result>(_ inode: UInt64, _ body: (inout RepairState) -> Result) -> Result {
        states.withLock { body(&$0[inode, default: RepairState()]) }
    }

    /// - Returns: whether subscribers took it to be degraded.
    @discardableResult
    func markHealthy(_ inode: UInt64) -> Bool {
        states.withLock { states in
            guard let index = states.index(forKey: inode) else { return false }
            defer { (states.values[index].isDegraded, states.values[index].lastLoggedError) = (false, nil) }
            return states.values[index].isDegraded
        }
    }

    /// The bypass has ended.
    func remove(_ inode: UInt64) {
        states.withLock { $0[inode] = nil }
    }
}

extension ExponentialBackoff {
    /// For repairs of a bypass that another program keeps damaging, so that the two do not fight for a ruleset at the speed
    /// of a processor.
    static let repair = ExponentialBackoff(
        firstDelay: .seconds(2), longestDelay: .seconds(300), resetAfter: .seconds(60), isRandom: false)
}
