internal import Glibc

/// The version of a file's contents, by which a change is noticed without reading it.
package struct FileVersion: Hashable, Sendable {
    private let device: UInt64
    private let inode: UInt64
    private let size: Int64
    /// Nanoseconds since 1970.
    private let changed: Int64

    /// Whether it is the same file, even if it has changed; not another one under its name.
    package func isSameFile(as other: FileVersion?) -> Bool {
        other.map { (device, inode) == ($0.device, $0.inode) } ?? false
    }

    /// nil if there is no file.
    package init?(of path: String) throws(SystemCallError) {
        var status = stat()
        do {
            try systemCall("stat \(path)") { unsafe stat(path, &status) }
        } catch {
            if error.meansAbsent { return nil }
            throw error
        }
        device = UInt64(status.st_dev)
        inode = UInt64(status.st_ino)
        size = Int64(status.st_size)
        changed = Int64(status.st_ctim.tv_sec) * 1_000_000_000 + Int64(status.st_ctim.tv_nsec)
    }
}
