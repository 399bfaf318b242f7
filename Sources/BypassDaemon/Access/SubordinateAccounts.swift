internal import Linux
internal import Logging
internal import Synchronization

/// Whose uids are whose: those of an account's subordinate range (subuid(5)) count as that account, so that the many uids of
/// one account do not pass for many users. Any other uid counts for itself, whether this machine knows it or not.
final class SubordinateAccounts: Sendable {
    struct Range: Hashable, Sendable {
        var account: UInt32
        var uids: ClosedRange<UInt32>
    }

    private struct State {
        var ranges: [Range] = []
        /// What the ranges were read from.
        var version: FileVersion?
        var isReading = false
    }

    private let path: String
    private let queue: WorkQueue
    private let state = Mutex(State())

    /// - Parameters:
    ///   - path: the file.
    ///   - queue: where it is read again when it has changed: looking up names may take time.
    init(path: String = "/etc/subuid", queue: WorkQueue) {
        self.path = path
        self.queue = queue
        // A server of accounts may never answer: the daemon's start does not wait for that.
        let isRead = Monitor(false)
        queue.add {
            self.read()
            isRead.update { $0 = true }
        }
        _ = isRead.wait(until: .now + .seconds(5)) { $0 ? () : nil }
    }

    /// The account that a uid counts for. After a change of the file it is the old one until the file is read.
    func account(of uid: UInt32) -> UInt32 {
        // These are never subordinate, and most callers have one.
        if uid < 1000 { return uid }
        let version = FileVersion(of: path)
        let (account, mustRead) = state.withLock { state -> (UInt32, Bool) in
            let account = state.ranges.first { $0.uids.contains(uid) }?.account ?? uid
            let mustRead = state.version != version && !state.isReading
            if mustRead { state.isReading = true }
            return (account, mustRead)
        }
        if mustRead { queue.add { self.read() } }
        return account
    }

    private func read() {
        let version = FileVersion(of: path)
        // Without the file there are no subordinate uids.
        let ranges = Self.parse((try? Files.read(path)) ?? []) { name in
            UInt32(name) ?? (try? UserDatabase.user(named: name))?.flatMap(\.uid)
        }
        state.withLock { state in (state.ranges, state.version, state.isReading) = (ranges, version, false) }
    }

    /// Lines of `account:first:count`; a line that is not one says nothing.
    ///
    /// - Parameter account: the uid of an account that is given by name or number.
    static func parse(_ bytes: [UInt8], account: (String) -> UInt32?) -> [Range] {
        var known: [String: UInt32?] = [:]
        return bytes.split(separator: UInt8(ascii: "\n")).compactMap { line in
            let fields = line.split(separator: UInt8(ascii: ":"), omittingEmptySubsequences: false).map {
                String(decoding: $0, as: UTF8.self)
            }
            guard fields.count == 3, let first = UInt32(fields[1]), let count = UInt32(fields[2]), count > 0 else {
                return nil
            }
            let (last, overflow) = first.addingReportingOverflow(count - 1)
            let owner = known[fields[0]] ?? account(fields[0])
            known[fields[0]] = owner
            // Root's own uid is never another account's.
            guard let owner, first > 0 else { return nil }
            // Root's subordinate uids are containers' users: one account, but without what root may do beyond the limits.
            return Range(account: owner == 0 ? first : owner, uids: first...(overflow ? .max : last))
        }
    }
}
