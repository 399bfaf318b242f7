internal import BypassAPI
internal import JSONRPC
internal import Linux
internal import NIOCore
internal import Synchronization

/// The records of all bypasses, in memory and in the state folder: one file each, in a folder that is named after the
/// boot, since inode numbers and the kernel's rules do not outlive it.
final class Registry: Sendable {
    private let folder: String
    private let records: Mutex<[UInt64: Record]>

    /// Reads what an earlier daemon left, and removes what is of another boot.
    ///
    /// Throws if the folder cannot be made or written.
    init(folder: String) throws(SystemCallError) {
        let boot = String(try Files.text("/proc/sys/kernel/random/boot_id").prefix { $0 != "\n" })
        self.folder = folder + "/" + boot
        try Files.makeFolder(self.folder)
        for entry in Files.entries(in: folder) where entry.isFolder && entry.name != boot && Self.isBootID(entry.name) {
            try Files.removeFolder(folder + "/" + entry.name)
        }
        var found: [UInt64: Record] = [:]
        for entry in Files.entries(in: self.folder) {
            guard entry.name.hasSuffix(".json"), let inode = UInt64(entry.name.dropLast(5)),
                let contents = try? Files.read(self.folder + "/" + entry.name),
                // A file that is no record says nothing: the bypass is then one of an unknown owner.
                let value = try? JSONReader.read(ByteBuffer(bytes: contents)),
                let record = try? JSONDecoding.decode(Record.self, from: value)
            else { continue }
            found[inode] = record
        }
        records = Mutex(found)
    }

    var count: Int { records.withLock { $0.count } }

    /// By inode.
    var all: [(inode: UInt64, record: Record)] {
        records.withLock { records in records.map { (inode: $0.key, record: $0.value) } }.sorted { $0.inode < $1.inode }
    }

    subscript(inode: UInt64) -> Record? { records.withLock { $0[inode] } }

    /// Keeps a record. Throws if it is kept in memory only.
    func set(_ record: Record, of inode: UInt64) throws(SystemCallError) {
        let old = records.withLock { $0.updateValue(record, forKey: inode) }
        if old == record { return }
        var contents = ByteBuffer()
        do {
            try JSONEncoding.write(record, into: &contents)
        } catch {
            preconditionFailure("a record is always JSON: \(error)")
        }
        try Files.write(Array(contents.readableBytesView), to: path(inode))
    }

    func remove(_ inode: UInt64) {
        guard records.withLock({ $0.removeValue(forKey: inode) }) != nil else { return }
        // A file that stays behind is of no bypass; it is looked at again at the next start.
        try? Files.remove(path(inode))
    }

    private func path(_ inode: UInt64) -> String { "\(folder)/\(inode).json" }

    /// Folders of ours only: the state folder may be shared.
    private static func isBootID(_ name: String) -> Bool {
        name.utf8.count == 36
            && name.utf8.allSatisfy { $0 == 0x2d || (0x30...0x39).contains($0) || (0x61...0x66).contains($0) }
    }
}
