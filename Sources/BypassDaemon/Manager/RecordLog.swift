internal import Bypass
internal import Linux
internal import StrictJSON
internal import SystemPackage

/// The file that records are kept in: one JSON object a line, the last one of an inode counts.
struct RecordLog: ~Copyable {
    struct Line: Codable, JSONWritableObject {
        var inode: UInt64
        /// nil: the bypass has ended.
        var record: BypassRecord?
        /// Of one that has expired; beside a record, until that has begun.
        var expired: ExpiredBypass?

        func writeMembers(to text: inout JSONText) {
            text.member("inode", inode)
            text.member("record", record)
            if let expired { text.member("expired", expired) }
        }

        /// With its end.
        var text: [UInt8] { JSONText.line(of: self) }
    }

    /// The records that all lines together leave.
    struct Contents {
        var records: [UInt64: BypassRecord] = [:]
        var expired = ExpiredBypasses()
        /// The number of lines that are not what a daemon writes.
        var damagedLines = 0
        /// The number of records with a condition that only a later version knows.
        var laterRecords = 0
    }

    private let folder: String
    private let path: String
    /// nil if it could not be opened.
    private var file: AppendOnlyFile?
    private var lines = 0

    private static let suffix = ".bypasses"
    /// The longest line has some kilobytes, and the log is rewritten when most of its lines are out of date.
    private static let maxBytes = 64 << 20

    /// The log of this boot; those of others are removed. Nothing is opened yet.
    init(folder: String) throws(SystemCallError) {
        let boot = String(try Files.text("/proc/sys/kernel/random/boot_id").prefix { $0 != "\n" })
        let name = boot + Self.suffix
        self.folder = folder
        path = folder + "/" + name
        let found = (try? Files.entries(in: folder).map(\.name)) ?? []
        for other in found where other.hasSuffix(Self.suffix) && other != name {
            try? Files.remove(folder + "/" + other)
        }
    }

    /// Throws if the file cannot be read.
    func contents() throws(SystemCallError) -> Contents {
        let bytes: [UInt8]
        do throws(SystemCallError) {
            bytes = try Files.read(path, limit: Self.maxBytes + 1)
        } catch {
            if error.errno == .noSuchFileOrDirectory { return Contents() }
            throw error
        }
        guard bytes.count <= Self.maxBytes else { throw SystemCallError("read \(path)", .fileTooLarge) }
        return Self.contents(of: bytes, at: BootClock.now)
    }

    /// Checks every number. A line that is not a record, such as one that a full disk cut off, is ignored. A line of
    /// which only the inode can be read removes that inode's earlier record.
    ///
    /// - Parameter now: CLOCK_BOOTTIME in nanoseconds.
    static func contents(of bytes: [UInt8], at now: UInt64) -> Contents {
        struct Subject: Decodable {
            struct Record: Decodable { var needs: [String]? }
            var inode: UInt64
            var record: Record?
        }
        var contents = Contents()
        for text in bytes.split(separator: UInt8(ascii: "\n")) {
            guard let value = try? JSONReader.read(text.span),
                let subject = try? JSONDecoding.decode(Subject.self, from: value, unknownMembers: .ignore)
            else {
                contents.damagedLines += 1
                continue
            }
            let inode = subject.inode
            // What a reader has to know of the record's other members.
            if !(subject.record?.needs ?? []).allSatisfy(BypassRecord.knownConditions.contains) {
                contents.laterRecords += 1
                (contents.records[inode], contents.expired[inode]) = (nil, nil)
                continue
            }
            let line = try? JSONDecoding.decode(Line.self, from: value, unknownMembers: .ignore)
            let record = line?.record?.checked(at: now)
            if line == nil || line?.record != nil && record == nil { contents.damagedLines += 1 }
            contents.records[inode] = record
            contents.expired[inode] = line?.expired
        }
        return contents
    }

    /// Whether what is appended will be read by the next daemon.
    var isInPlace: Bool {
        switch file {
        case nil: false
        case .some(let file): file.isInPlace
        }
    }

    /// Whether appended lines would be lost, as far as the open file shows. ``isInPlace`` checks its path, too.
    var isRemoved: Bool {
        switch file {
        case nil: true
        case .some(let file): file.isRemoved
        }
    }

    /// Goes on with the log that is there.
    mutating func open() throws(SystemCallError) { file = try AppendOnlyFile(path) }

    /// Only if it is in place.
    mutating func append(_ line: Line) throws(SystemCallError) {
        try file?.append(line.text)
        lines += 1
    }

    /// Whether most lines say what is no longer so.
    ///
    /// - Parameter needed: the number of lines that say what is so.
    func isWorthRewriting(_ needed: Int) -> Bool { lines > 1000 + 4 * needed }

    /// Puts a log with this only in the place of the old one, and makes the folder if it has gone.
    mutating func rewrite(_ contents: Contents) throws(SystemCallError) {
        try Files.makeFolder(folder)
        let all =
            contents.records.map { Line(inode: $0.key, record: $0.value, expired: contents.expired[$0.key]) }
            + contents.expired.all.filter { contents.records[$0.inode] == nil }
            .map { Line(inode: $0.inode, expired: $0.expired) }
        try Files.write(all.flatMap(\.text), to: path)
        try open()
        lines = all.count
    }
}

extension BypassRecord {
    /// nil if the deadline is implausible. An implausible generation is dropped.
    fileprivate func checked(at now: UInt64) -> BypassRecord? {
        if let deadline, !MapEntry.isPlausible(deadline, at: now) { return nil }
        var copy = self
        if let generation, !Generations.range.contains(generation) { copy.generation = nil }
        return copy
    }
}
