internal import BypassAPI
internal import Linux
internal import StrictJSON

/// A bypass that has expired in a namespace that is still there.
///
/// Its owner may have been away, and would turn it on again for all of its time. So this outlives the daemon, too.
struct ExpiredBypass: Codable, JSONWritableObject, Hashable, Sendable {
    /// As in the bypass's record.
    var cookie: UInt64?
    var owner: String
    var at: Timestamp

    /// nil if the bypass did not expire, or has no owner.
    ///
    /// - Parameter cookie: of the namespace, which the record may not have.
    init?(_ record: BypassRecord, cookie: UInt64?) {
        guard let owner = record.owner, let deadline = record.deadline, deadline <= BootClock.now,
            let end = Timestamp(deadline: deadline)
        else { return nil }
        self.cookie = cookie ?? record.cookie
        self.owner = owner
        at = end
    }

    func writeMembers(to text: inout JSONText) {
        text.member("cookie", cookie)
        text.member("owner", owner)
        text.member("at", at)
    }
}

/// Those that are kept, by inode: the newest of very many. A namespace may go without a notice.
struct ExpiredBypasses: Sendable {
    private var byInode: [UInt64: ExpiredBypass] = [:]

    static let maxCount = 4096

    var count: Int { byInode.count }
    var all: [(inode: UInt64, expired: ExpiredBypass)] { byInode.map { (inode: $0.key, expired: $0.value) } }

    subscript(inode: UInt64) -> ExpiredBypass? {
        get { byInode[inode] }
        set {
            byInode[inode] = newValue
            guard byInode.count > Self.maxCount, let oldest = byInode.min(by: { $0.value.at < $1.value.at }) else {
                return
            }
            byInode[oldest.key] = nil
        }
    }
}

extension Timestamp {
    /// CLOCK_BOOTTIME's `deadline` on the wall clock; nil for none.
    init?(deadline: UInt64) {
        guard deadline != 0 else { return nil }
        let left = Int64(clamping: deadline) - Int64(clamping: BootClock.now)
        let (end, overflow) = WallClock.now.addingReportingOverflow(left)
        self.init(secondsSince1970: (overflow ? .max : end) / 1_000_000_000)
    }
}
