internal import Bypass
internal import Linux
internal import Retry

/// The leftovers of ended bypasses, by inode: rules and chains that could not be removed yet. They have no effect, so
/// they are kept in memory only; the next daemon finds them as orphaned rules.
final class Leftovers: Sendable {
    struct Remnant: Sendable {
        /// The reference by which the namespace is found again.
        var record: BypassRecord
        /// The bypass's entry in the matcher's map before it ended, if there was one.
        var entry: MapEntry?
        var warnings: [Warning]
        private var backoff = ExponentialBackoff.repair
        /// CLOCK_BOOTTIME in nanoseconds.
        private(set) var nextAttempt: UInt64 = 0

        init(record: BypassRecord, entry: MapEntry?, warnings: [Warning]) {
            self.record = record
            self.entry = entry
            self.warnings = warnings
        }

        mutating func postpone(from now: UInt64) { nextAttempt = now + UInt64(backoff.next() / .nanoseconds(1)) }
    }

    private let remnants = Monitor<[UInt64: Remnant]>([:])
    /// As many as the matcher's map has entries. Beyond that the next start finds them.
    private static let maxNamespaces = 16384

    /// Records the leftovers of a bypass.
    ///
    /// - Parameter now: CLOCK_BOOTTIME in nanoseconds.
    /// - Returns: whether they are new or have changed.
    func set(_ leftovers: [Leftover], of inode: UInt64, _ record: BypassRecord, _ entry: MapEntry?, at now: UInt64)
        -> Bool
    {
        let warnings = leftovers.map(Warning.leftover)
        return remnants.withLock { remnants in
            // Another namespace may have had the number.
            let known = remnants.removeValue(forKey: inode).flatMap { $0.record.cookie == record.cookie ? $0 : nil }
            if warnings.isEmpty || remnants.count >= Self.maxNamespaces { return false }
            var remnant = known ?? Remnant(record: record, entry: entry, warnings: [])
            if known == nil { remnant.postpone(from: now) }
            remnant.warnings = warnings
            remnants[inode] = remnant
            return known?.warnings != warnings
        }
    }

    /// Of how many namespaces there are some.
    var count: Int { remnants.withLock(\.count) }

    /// The report about a namespace, if it is still the one that has this number.
    func warnings(of inode: UInt64, cookie: UInt64?) -> [Warning] {
        remnant(of: inode, cookie: cookie)?.warnings ?? []
    }

    /// The entry that the bypass had, from which it is known what was created.
    func entry(of inode: UInt64, cookie: UInt64?) -> MapEntry? {
        remnant(of: inode, cookie: cookie)?.entry
    }

    private func remnant(of inode: UInt64, cookie: UInt64?) -> Remnant? {
        remnants.withLock { $0[inode] }.flatMap { $0.record.cookie == cookie ? $0 : nil }
    }

    /// The namespace is gone, or bypassed again.
    func remove(_ inode: UInt64) {
        remnants.withLock { _ = $0.removeValue(forKey: inode) }
    }

    /// The leftovers that are due for another attempt. Each is postponed to its next one.
    func claimDue(at now: UInt64) -> [(inode: UInt64, remnant: Remnant)] {
        remnants.withLock { remnants in
            var due: [(inode: UInt64, remnant: Remnant)] = []
            for inode in remnants.keys {
                guard var remnant = remnants[inode], remnant.nextAttempt <= now else { continue }
                remnant.postpone(from: now)
                remnants[inode] = remnant
                due.append((inode, remnant))
            }
            return due.sorted { $0.inode < $1.inode }
        }
    }
}
