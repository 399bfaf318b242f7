internal import Linux
internal import StrictJSON

/// The file that records are kept in: one JSON object a line, the last one of an inode counts.
struct RecordLog: ~Copyable {
    struct Line: Codable, JSONWritableObject {
        var inode: UInt64
        /// nil: the bypass has ended.
        var record: BypassRecord?

        func writeMembers(to text: inout JSONText) {
            text.member("inode", inode)
            text.member("record", record)
        }
    }

    private let path: String
    private var file: AppendOnlyFile
    private var lines = 0

    private static let suffix = ".bypasses"

    /// Opens the log of this boot, and removes those of others.
    init(folder: String) throws(SystemCallError) {
        let boot = String(try Files.text("/proc/sys/kernel/random/boot_id").prefix { $0 != "\n" })
        try Files.makeFolder(folder)
        let name = boot + Self.suffix
        for entry in try Files.entries(in: folder) where entry.name.hasSuffix(Self.suffix) && entry.name != name {
            try Files.remove(folder + "/" + entry.name)
        }
        let opened = try AppendOnlyFile(folder + "/" + name)
        path = folder + "/" + name
        file = opened
    }

    /// What the lines add up to. A line that is not a record, such as one that a full disk cut off, says nothing. Throws if
    /// the file cannot be read: to begin without the records would be to forget them.
    func contents() throws(SystemCallError) -> [UInt64: BypassRecord] {
        var records: [UInt64: BypassRecord] = [:]
        for text in try Files.read(path, limit: .max).split(separator: UInt8(ascii: "\n")) {
            guard let value = try? JSONReader.read(text.span),
                let line = try? JSONDecoding.decode(Line.self, from: value)
            else { continue }
            records[line.inode] = line.record
        }
        return records
    }

    mutating func append(_ line: Line) throws(SystemCallError) {
        try file.append(JSONText.line(of: line))
        lines += 1
    }

    /// Whether most lines say what is no longer so.
    func isWorthRewriting(_ records: Int) -> Bool { lines > 1000 + 4 * records }

    /// Puts a log with these records only in the place of the old one.
    mutating func rewrite(_ records: [UInt64: BypassRecord]) throws(SystemCallError) {
        try Files.write(records.flatMap { JSONText.line(of: Line(inode: $0.key, record: $0.value)) }, to: path)
        file = try AppendOnlyFile(path)
        lines = records.count
    }
}
