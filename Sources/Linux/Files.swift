internal import CLinux
internal import Glibc

/// The few things that are read from proc and sysfs.
public enum Files {
    /// The contents of a file that the kernel makes up as it is read (proc, sysfs, cgroupfs), at most `limit` bytes.
    public static func read(_ path: String, limit: Int = 1 << 20) throws(SystemCallError) -> [UInt8] {
        let descriptor = OwnedDescriptor(
            adopting: try systemCall("open \(path)") { unsafe clinux_open_read(path) })
        var contents: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 16384)
        while contents.count < limit {
            let count = try systemCall("read \(path)") {
                unsafe Glibc.read(descriptor.rawValue, &chunk, min(chunk.count, limit - contents.count))
            }
            if count == 0 { break }
            contents += chunk[..<count]
        }
        return contents
    }

    /// `read` as text; bytes that are no UTF-8 become U+FFFD.
    public static func text(_ path: String) throws(SystemCallError) -> String {
        String(decoding: try read(path), as: UTF8.self)
    }

    public static func exists(_ path: String) -> Bool {
        unsafe access(path, F_OK) == 0
    }

    /// The folders in a folder, without `.` and `..`; none if it cannot be read.
    public static func folders(in path: String) -> [String] {
        guard let directory = unsafe opendir(path) else { return [] }
        defer { unsafe closedir(directory) }
        var names: [String] = []
        while let entry = unsafe readdir(directory) {
            guard unsafe entry.pointee.d_type == UInt8(DT_DIR) else { continue }
            let name = unsafe withUnsafePointer(to: &entry.pointee.d_name) {
                unsafe $0.withMemoryRebound(to: CChar.self, capacity: 256) { unsafe String(cString: $0) }
            }
            if name != "." && name != ".." { names.append(name) }
        }
        return names
    }

    /// Whether a folder is on the BPF file system, where programs and maps can be pinned.
    public static func isBPFFileSystem(_ path: String) throws(SystemCallError) -> Bool {
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
