internal import Linux
internal import StrictJSON

/// The file that records are kept in: one JSON object a line, the last one of an inode counts.
struct RecordJournal: ~Copyable {
    struct Line: Codable {
        var inode: UInt64
        /// nil: there is no bypass any more.
        var record: Record?
    }

    private let path: String
    private var file: AppendOnlyFile
    private var lines = 0

    /// Opens the journal of this boot, and removes those of others.
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

    private static let suffix = ".bypasses"

    /// What the lines add up to. A line that is none, such as one that a full disk cut off, says nothing. Throws if they
    /// cannot be read: to begin without them would be to forget them.
    func contents() throws(SystemCallError) -> [UInt64: Record] {
        var records: [UInt64: Record] = [:]
        for text in try Files.read(path, limit: .max).split(separator: UInt8(ascii: "\n")) {
            guard let value = try? JSONReader.read(text.span),
                let line = try? JSONDecoding.decode(Line.self, from: value)
            else { continue }
            records[line.inode] = line.record
        }
        return records
    }

    mutating func append(_ line: Line) throws(SystemCallError) {
        try file.append(Self.encoded(line))
        lines += 1
    }

    /// Whether most lines say what is no longer so.
    func isWorthRewriting(_ records: Int) -> Bool { lines > 1000 + 4 * records }

    /// Puts a journal with these records only in the place of the old one.
    mutating func rewrite(_ records: [UInt64: Record]) throws(SystemCallError) {
        try Files.write(records.flatMap { Self.encoded(Line(inode: $0.key, record: $0.value)) }, to: path)
        file = try AppendOnlyFile(path)
        lines = records.count
    }

    private static func encoded(_ line: Line) -> [UInt8] {
        do {
            return try JSONEncoding.bytes(of: line) + [UInt8(ascii: "\n")]
        } catch {
            preconditionFailure("a record is always JSON: \(error)")
        }
    }
}
