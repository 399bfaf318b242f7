internal import Bypass
internal import BypassAPI

/// The statuses of many bypasses for one answer, bounded in bytes: a user can have thousands, each with texts as long as
/// they may be. 16,384 bypasses, as many as the matcher's map holds, fit in as long as their texts are short.
struct StatusList: Sendable {
    private(set) var statuses: [BypassStatus] = []
    /// The number of those that did not fit.
    private var omitted = 0
    private var bytes = 0

    static let maxBytes = 32 << 20

    init() {}

    init(_ statuses: some Sequence<BypassStatus>) {
        for status in statuses { add(status) }
    }

    mutating func add(_ status: BypassStatus) {
        if bytes + status.writtenSize > Self.maxBytes { return omit() }
        bytes += status.writtenSize
        statuses.append(status)
    }

    /// Counts one that is not looked at, since those before it have filled the list.
    mutating func omit() { omitted += 1 }

    var isFull: Bool { omitted > 0 }

    mutating func sort() { statuses.sort { $0.inode < $1.inode } }

    var warnings: [BypassStatus.Warning] { isFull ? [.init(.omittedBypasses(omitted))] : [] }
}

extension BypassStatus {
    /// The most bytes that it takes in an answer. Only what clients write is looked at byte for byte: the names in our
    /// rules are plain, and messages are printable already.
    fileprivate var writtenSize: Int {
        let names = rules.reduce(0) { $0 + 144 + $1.table.utf8.count + $1.chain.utf8.count }
        let messages = warnings.reduce(0) { $0 + 56 + 2 * $1.message.utf8.count }
        let elements = [only, except].compactMap(\.self).reduce(0) {
            $0 + 32 + $1.ports.count * 16 + $1.networks.count * 48
        }
        return 640 + names + messages + elements
            + [netns, owner ?? "", reason ?? ""].reduce(0) { $0 + $1.writtenSize }
    }
}

extension String {
    /// The most bytes that it takes in JSON.
    fileprivate var writtenSize: Int {
        utf8.reduce(0) { $0 + ($1 < 0x20 || $1 == 0x7f ? 6 : $1 == 0x22 || $1 == 0x5c ? 2 : 1) }
    }
}
