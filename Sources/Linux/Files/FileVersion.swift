internal import Glibc

/// What tells one state of a file from a later one, without reading it.
package struct FileVersion: Hashable, Sendable {
    private let device: UInt64
    private let inode: UInt64
    private let size: Int64
    /// Nanoseconds since 1970.
    private let changed: Int64

    /// nil if there is no file, or it cannot be looked up.
    package init?(of path: String) {
        var status = stat()
        guard (try? systemCall("stat \(path)") { unsafe stat(path, &status) }) != nil else { return nil }
        device = UInt64(status.st_dev)
        inode = UInt64(status.st_ino)
        size = Int64(status.st_size)
        changed = Int64(status.st_ctim.tv_sec) * 1_000_000_000 + Int64(status.st_ctim.tv_nsec)
    }
}
