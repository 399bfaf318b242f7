internal import CLinux
internal import Glibc
internal import SystemPackage

/// Small files: those that the kernel makes up (proc, sysfs, cgroupfs), and the daemon's own records.
package enum Files {
    /// The contents of a file that the kernel makes up as it is read (proc, sysfs, cgroupfs), at most `limit` bytes.
    package static func read(_ path: String, limit: Int = 1 << 20) throws(SystemCallError) -> [UInt8] {
        try read(
            OwnedDescriptor(adopting: try systemCall("open \(path)") { unsafe clinux_open_read(path) }), path,
            limit: limit)
    }

    private static func read(
        _ descriptor: consuming OwnedDescriptor, _ path: @autoclosure () -> String, limit: Int
    ) throws(SystemCallError) -> [UInt8] {
        var contents: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 16384)
        while contents.count < limit {
            let count = try systemCall("read \(path())") {
                unsafe Glibc.read(descriptor.rawValue, &chunk, min(chunk.count, limit - contents.count))
            }
            if count == 0 { break }
            contents += chunk[..<count]
        }
        return contents
    }

    /// `read` as text; bytes that are not UTF-8 become U+FFFD.
    package static func text(_ path: String) throws(SystemCallError) -> String {
        String(decoding: try read(path), as: UTF8.self)
    }

    package static func exists(_ path: String) -> Bool {
        (try? systemCall("access \(path)") { unsafe access(path, F_OK) }) != nil
    }

    /// A handle on what a name is, be it a link: the file is not opened, and no link on the way is followed.
    ///
    /// - Parameters:
    ///   - folder: where a relative name is looked up.
    ///   - crossingMounts: otherwise EXDEV is thrown where another file system begins.
    static func handle(
        on name: String, in folder: CInt = AT_FDCWD, crossingMounts: Bool = true
    ) throws(SystemCallError) -> OwnedDescriptor {
        OwnedDescriptor(
            adopting: try systemCall("open \(name)") { unsafe clinux_step(folder, name, crossingMounts ? 1 : 0) })
    }

    /// `st_ino` of what a path leads to; nil if it leads nowhere.
    static func inode(of path: String) throws(SystemCallError) -> UInt64? {
        var status = stat()
        do {
            try systemCall("stat \(path)") { unsafe stat(path, &status) }
        } catch {
            if error.meansAbsent { return nil }
            throw error
        }
        return UInt64(status.st_ino)
    }

    /// The target of a symbolic link; nil if there is none, or it cannot be read.
    static func link(_ path: String) -> String? {
        var target = [CChar](repeating: 0, count: Int(PATH_MAX))
        guard let length = try? systemCall("readlink \(path)", { unsafe readlink(path, &target, target.count) }) else {
            return nil
        }
        return String(decoding: target[..<length].map(UInt8.init(bitPattern:)), as: UTF8.self)
    }

    package struct Entry: Hashable, Sendable {
        package var name: String
        package var isFolder: Bool
    }

    /// The entries of a folder, without `.` and `..`; none if it does not exist.
    ///
    /// - Parameter limit: so many are read.
    package static func entries(in path: String, limit: Int = .max) throws(SystemCallError) -> [Entry] {
        var opened: OpaquePointer?
        do {
            try systemCall("opendir \(path)") {
                unsafe opened = opendir(path)
                return unsafe opened == nil ? -1 : 0
            }
        } catch {
            if error.meansAbsent { return [] }
            throw error
        }
        guard let directory = unsafe opened else { return [] }
        defer { unsafe closedir(directory) }
        var entries: [Entry] = []
        while entries.count < limit, let entry = unsafe try next(in: directory, path) {
            let name = unsafe withUnsafePointer(to: &entry.pointee.d_name) {
                unsafe $0.withMemoryRebound(to: CChar.self, capacity: 256) { unsafe String(cString: $0) }
            }
            if name == "." || name == ".." { continue }
            entries.append(Entry(name: name, isFolder: unsafe entry.pointee.d_type == UInt8(DT_DIR)))
        }
        return entries
    }

    /// nil after the last one, or if the folder has gone meanwhile. Only errno distinguishes the end from an error.
    private static func next(
        in directory: OpaquePointer, _ path: String
    ) throws(SystemCallError) -> UnsafeMutablePointer<dirent>? {
        errno = 0
        if let entry = unsafe readdir(directory) { return unsafe entry }
        if errno == 0 { return nil }
        let error = SystemCallError("readdir \(path)", .current)
        if error.meansAbsent { return nil }
        throw error
    }

    /// Makes a folder, and those above it, that only root can look into; one that is there already is left alone.
    package static func makeFolder(_ path: String, mode: UInt32 = 0o700) throws(SystemCallError) {
        if exists(path) { return }
        if let slash = path.dropFirst().lastIndex(of: "/") { try makeFolder(String(path[..<slash]), mode: 0o755) }
        do {
            try systemCall("mkdir \(path)") { unsafe mkdir(path, mode) }
        } catch {
            if error.errno != .fileExists { throw error }
        }
    }

    /// Puts a file in place as a whole or not at all, readable by root alone if nothing else is said. It need not outlive a
    /// power cut: nothing is synced.
    package static func write(
        _ contents: [UInt8], to path: String, mode: UInt32 = 0o600
    ) throws(SystemCallError) {
        let next = path + ".next"
        do {
            try replace(path, by: next, contents, mode)
        } catch {
            try? remove(next)
            throw error
        }
    }

    private static func replace(
        _ path: String, by next: String, _ contents: [UInt8], _ mode: UInt32
    ) throws(SystemCallError) {
        let number = try systemCall("open \(next)") {
            unsafe open(next, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, mode)
        }
        let descriptor = OwnedDescriptor(adopting: number)
        // Independent of the umask.
        try systemCall("fchmod \(next)") { fchmod(number, mode) }
        var rest = contents[...]
        while !rest.isEmpty {
            let written = try systemCall("write \(next)") {
                unsafe rest.withUnsafeBytes { unsafe Glibc.write(descriptor.rawValue, $0.baseAddress, $0.count) }
            }
            rest = rest.dropFirst(written)
        }
        try systemCall("rename \(next)") { unsafe rename(next, path) }
    }

    package static func remove(_ path: String) throws(SystemCallError) {
        do {
            try systemCall("unlink \(path)") { unsafe unlink(path) }
        } catch {
            if error.errno != .noSuchFileOrDirectory { throw error }
        }
    }

    /// Locks a folder against other processes that lock it, as long as the returned descriptor is open.
    ///
    /// - Parameter waits: for a lock that another process has; otherwise that throws EAGAIN.
    package static func lockFolder(_ path: String, waits: Bool) throws(SystemCallError) -> OwnedDescriptor {
        let number = try systemCall("open \(path)") { unsafe open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC) }
        let descriptor = OwnedDescriptor(adopting: number)
        try systemCall("flock \(path)") { flock(number, waits ? LOCK_EX : LOCK_EX | LOCK_NB) }
        return descriptor
    }

    /// Whether a folder is on the BPF file system, where programs and maps can be pinned.
    package static func isBPFFileSystem(_ path: String) throws(SystemCallError) -> Bool {
        let descriptor = OwnedDescriptor(
            adopting: try systemCall("open \(path)") { unsafe clinux_open_path(path) })
        return try fileSystemType(of: descriptor) == UInt64(CLINUX_BPF_FS_MAGIC)
    }

    /// `f_type` of statfs(2).
    static func fileSystemType(of descriptor: borrowing OwnedDescriptor) throws(SystemCallError) -> UInt64 {
        var type: UInt64 = 0
        try systemCall("fstatfs") { unsafe clinux_fstatfs_type(descriptor.rawValue, &type) }
        return type
    }
}

/// A file that lines are added to, readable by root alone.
package struct AppendOnlyFile: ~Copyable, Sendable {
    private let descriptor: OwnedDescriptor
    private let path: String

    package init(_ path: String) throws(SystemCallError) {
        let flags = O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW
        let number = try systemCall("open \(path)") { unsafe open(path, flags, 0o600) }
        descriptor = OwnedDescriptor(adopting: number)
        self.path = path
    }

    /// Whether the file still has its name: it may have been removed, its folder too, or another one put in its place.
    package var isInPlace: Bool {
        guard let own = try? FileStatus(of: descriptor), let named = try? FileStatus(path: path) else { return false }
        return (own.device, own.inode) == (named.device, named.inode)
    }

    /// Whether the file was removed, or another one put in its place. That it was moved, or its folder, is not noticed: that
    /// would take a walk along the path.
    package var isRemoved: Bool { (try? FileStatus(of: descriptor).links) == 0 }

    /// Adds `bytes` as a whole, or throws and adds nothing.
    package func append(_ bytes: [UInt8]) throws(SystemCallError) {
        let number = descriptor.rawValue
        let written = try systemCall("write \(path)") { unsafe write(number, bytes, bytes.count) }
        if written == bytes.count { return }
        // The disk is full: what fitted would run into the next line.
        let end = lseek(number, 0, SEEK_END)
        _ = ftruncate(number, end - off_t(written))
        throw SystemCallError("write \(path)", .noSpace)
    }
}
