internal import BypassPolicy
internal import Linux
internal import Logging
internal import SystemPackage

/// Whose uids are whose: those of an account's subordinate range (subuid(5)) count as that account, so that the many uids of
/// one account do not pass for many users. Any other uid counts for itself, whether this machine knows it or not.
final class SubordinateAccounts: Sendable {
    struct Range: Hashable, Sendable {
        var account: UInt32
        var uids: ClosedRange<UInt32>
    }

    private struct State {
        var ranges: [Range] = []
        /// The file of the ranges.
        var version: FileVersion?
        /// When the names that were not answered are looked up again; nil if all were.
        var nextLookUp: Instant?
        var isReading = true
    }

    private let path: String
    private let accounts: AccountResolver
    private let state = Monitor(State())

    private static let lookUpInterval = Interval.seconds(2)
    /// For all names of the file.
    private static let maxWait = Interval.seconds(1)

    /// - Parameter path: the file.
    init(path: String = "/etc/subuid", accounts: AccountResolver) {
        self.path = path
        self.accounts = accounts
        read()
    }

    /// The account that a uid counts for. After a change of the file it is the old one until the file is read.
    func account(of uid: UInt32) -> UInt32 {
        // These are never subordinate, and most callers have one.
        if uid < 1000 { return uid }
        let version = try? FileVersion(of: path)
        let (account, mustRead) = state.withLock { state -> (UInt32, Bool) in
            let account = state.ranges.first { $0.uids.contains(uid) }?.account ?? uid
            let isDue = state.version != version || state.nextLookUp.map { $0 <= .now } ?? false
            let mustRead = isDue && !state.isReading
            if mustRead { state.isReading = true }
            return (account, mustRead)
        }
        // Looking up names may take time.
        if mustRead, (try? Thread.start("subuid") { self.read() }) == nil {
            state.withLock { $0.isReading = false }
        }
        return account
    }

    private func read() {
        let version = try? FileVersion(of: path)
        var ranges: [Range]?
        var names: Set<AccountName> = []
        let deadline = Instant.now + Self.maxWait
        if let bytes = contents() {
            ranges = Self.parse(bytes) { text in
                if let uid = UInt32(text) { return uid }
                names.insert(.user(text))
                return (try? accounts.find(.user(text), by: deadline)).flatMap(\.self)
            }
        }
        let isComplete = ranges != nil && accounts.unanswered.isDisjoint(with: names)
        state.withLock { state in
            state.ranges = ranges ?? state.ranges
            (state.version, state.isReading) = (version, false)
            state.nextLookUp = isComplete ? nil : .now + Self.lookUpInterval
        }
    }

    /// nil if it cannot be read now. Without the file there are no subordinate uids.
    private func contents() -> [UInt8]? {
        do throws(SystemCallError) {
            return try Files.read(path)
        } catch {
            return error.errno == .noSuchFileOrDirectory ? [] : nil
        }
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
