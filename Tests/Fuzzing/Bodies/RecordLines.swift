internal import Bypass
internal import BypassAPI

@testable internal import BypassDaemon

/// What the state folder holds: nothing of it may trap, then or whenever it is used.
public enum RecordLines {
    /// CLOCK_BOOTTIME in nanoseconds.
    private static let now: UInt64 = 1 << 40

    public static func check(_ input: [UInt8]) throws(BrokenPromise) {
        let contents = RecordLog.contents(of: input, at: now)
        let lineCount = input.count { $0 == UInt8(ascii: "\n") } + 1
        try promise(contents.records.count + contents.damagedLines <= 2 * lineCount, "more than there is: \(contents)")
        var generations = Generations(now: 0, known: contents.records.values.compactMap(\.generation))
        for (inode, record) in contents.records {
            let deadline = record.deadline ?? 0
            try promise(MapEntry.checked(deadline, at: now) == deadline, "an implausible deadline: \(record)")
            try promise(generations.next(now: 0) > record.generation ?? 0, "a generation without a next: \(record)")
            _ = record.since.description
            _ = record.isOver(entry: nil, at: now)
            // What is read is written again, and then read as the same.
            let line = RecordLog.Line(inode: inode, record: record).text
            let again = RecordLog.contents(of: line, at: now)
            try promise(again.records == [inode: record] && again.damagedLines == 0, "read otherwise: \(record)")
        }
    }
}
