internal import Bypass
internal import BypassAPI
internal import StrictJSON

/// The statuses of many bypasses as they are written in one answer, bounded in bytes: a user can have thousands, each with
/// texts as long as they may be. 16,384 bypasses, as many as the matcher's map holds, fit in as long as their texts are short.
struct StatusList: JSONWritable, Sendable {
    private var text: [UInt8] = []
    /// Where in `text` each is.
    private var places: [(inode: UInt64, range: Range<Int>)] = []
    /// The number of those that did not fit.
    private var omitted = 0

    /// With what is around them, an answer takes at most 32 MiB.
    private static let maxBytes = 32 << 20 - 1024

    init() {}

    init(_ statuses: some Sequence<BypassStatus>) {
        for status in statuses { add(JSONText.bytes(of: status), of: status.inode) }
    }

    /// - Parameter status: its JSON.
    mutating func add(_ status: [UInt8], of inode: UInt64) {
        // A comma is between each two.
        if text.count + places.count + status.count > Self.maxBytes { return omit() }
        places.append((inode, text.count..<text.count + status.count))
        text += status
    }

    /// Counts one that is not looked at, since those before it have filled the list.
    mutating func omit() { omitted += 1 }

    var isFull: Bool { omitted > 0 }

    var warnings: [BypassStatus.Warning] { isFull ? [.init(.omittedBypasses(omitted))] : [] }

    /// By inode.
    func write(to json: inout JSONText) {
        json.array { json in
            for place in places.sorted(by: { $0.inode < $1.inode }) {
                json.separate()
                json.append(written: text.span.extracting(place.range))
            }
        }
    }
}
