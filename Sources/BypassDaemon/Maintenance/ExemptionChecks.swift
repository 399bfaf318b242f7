internal import BypassAPI
internal import Linux

/// When the checks of bypasses ask again whether the mesh would take what they leave to other programs' rules: that takes
/// all rules of the namespace, so it is not asked in every round. By inode.
final class ExemptionChecks: Sendable {
    private struct Check {
        var set: ConnectionSet
        var generation: UInt32?
        /// If the set or the ruleset has changed, and if not: addresses and iptables-legacy's tables have no generation.
        var next: (ifChanged: Instant, always: Instant)
    }

    private let checks = Monitor<[UInt64: Check]>([:])

    /// Of unchanged rules.
    private static let pause = Interval.seconds(10)
    /// What it takes is a part of the time, however many rules there are and however often they change.
    private static let pauses: UInt64 = 10

    /// - Parameter generation: of the ruleset.
    func isDue(_ inode: UInt64, _ set: ConnectionSet, _ generation: UInt32?, at now: Instant) -> Bool {
        guard let check = checks.withLock({ $0[inode] }) else { return true }
        let isChanged = generation == nil || check.generation != generation || check.set != set
        return now >= (isChanged ? check.next.ifChanged : check.next.always)
    }

    /// It was asked, from one moment to another.
    func record(_ inode: UInt64, _ set: ConnectionSet, _ generation: UInt32?, from began: Instant, to end: Instant) {
        let pause = Interval(nanoseconds: (end - began).nanoseconds * Self.pauses)
        let check = Check(
            set: set, generation: generation, next: (ifChanged: end + pause, always: end + max(pause, Self.pause)))
        checks.withLock { $0[inode] = check }
    }

    /// The bypass has ended.
    func remove(_ inode: UInt64) { checks.withLock { $0[inode] = nil } }
}
