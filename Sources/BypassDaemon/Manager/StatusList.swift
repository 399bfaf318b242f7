internal import Bypass
internal import BypassAPI
internal import StrictJSON

/// The statuses of many bypasses as they are written in one answer, bounded in bytes: a user can have thousands, each with
/// texts as long as they may be. 16,384 bypasses, as many as the matcher's map holds, fit in as long as their texts are short.
struct StatusList: JSONWritable, Sendable {
    private var text = JSONText()
    /// Where in `text` each is.
    private var places: [(inode: UInt64, range: Range<Int>)] = []
    /// The number of those that did not fit.
    private var omitted = 0

    /// With what is around them, an answer takes at most 32 MiB.
    private static let maxBytes = 32 << 20 - 1024

    init() {}

    init(_ statuses: some Sequence<BypassStatus>) {
        self.init()
        for status in statuses { add(status) }
    }

    mutating func add(_ status: BypassStatus) {
        place(status.inode) { status.write(to: &$0) }
    }

    /// Adds all to another list, and is empty then.
    mutating func move(to list: inout StatusList) {
        for (inode, range) in places { list.place(inode) { $0.append(range, of: text) } }
        list.omitted += omitted
        text.removeAll(after: 0)
        places.removeAll(keepingCapacity: true)
        omitted = 0
    }

    private mutating func place(_ inode: UInt64, _ write: (inout JSONText) -> Void) {
        let start = text.count
        write(&text)
        // A comma is between each two.
        if text.count + places.count > Self.maxBytes {
            text.removeAll(after: start)
            return omit()
        }
        places.append((inode, start..<text.count))
    }

    /// Counts one that is not looked at, since those before it have filled the list.
    mutating func omit() { omitted += 1 }

    var isFull: Bool { omitted > 0 }

    var byteCount: Int { text.count }

    var warnings: [BypassStatus.Warning] { isFull ? [.init(.omittedBypasses(omitted))] : [] }

    /// By inode.
    func write(to json: inout JSONText) {
        json.array { json in
            for place in places.sorted(by: { $0.inode < $1.inode }) {
                json.separate()
                json.append(place.range, of: text)
            }
        }
    }
}
