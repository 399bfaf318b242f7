/// The mounts that this process sees, from /proc/self/mountinfo (proc(5)): what kind of file system is where.
///
/// Asking a file system itself for its kind, by statfs(2), would ask whoever serves it.
struct MountTable {
    private var types: [Substring: Substring] = [:]
    private var foreignPoints: [[UInt8]: Substring] = [:]

    /// - Parameter bytes: the file's contents. A line that is not as it should be is left out.
    init(_ bytes: [UInt8]) {
        for line in bytes.split(separator: 0x0a) {
            // 36 35 98:0 /root /point rw,noatime master:1 - ext4 /dev/sda1 rw: the optional fields end with a dash.
            let fields = line.split(separator: 0x20, omittingEmptySubsequences: false)
            guard let dash = fields.dropFirst(6).firstIndex(of: [0x2d]), dash + 1 < fields.endIndex else { continue }
            let type = Substring(decoding: fields[dash + 1], as: UTF8.self)
            types[Substring(decoding: fields[0], as: UTF8.self)] = type
            if !Self.isServedByKernel(type) { foreignPoints[Self.unescaped(fields[4])] = type }
        }
    }

    /// As it is now. A node with many pods has many mounts with long lines.
    static func current() throws(SystemCallError) -> MountTable {
        MountTable(try Files.read("/proc/self/mountinfo", limit: 64 << 20))
    }

    /// The number of the mount that a handle is on.
    static func number(of handle: borrowing OwnedDescriptor) throws(SystemCallError) -> Substring? {
        let lines = try Files.text("/proc/self/fdinfo/\(handle.rawValue)").split(separator: "\n")
        return lines.first { $0.hasPrefix("mnt_id:") }?.dropFirst(7).drop { $0 == "\t" || $0 == " " }
    }

    /// The kind of file system that a mount is of; nil if it is not to be seen (any more).
    func type(ofMount number: Substring) -> String? {
        types[number].map(String.init)
    }

    /// The kind of a file system that is mounted at `path` and served from outside the kernel; nil if there is none.
    func foreignType(at path: String) -> String? {
        foreignPoints[Array(path.utf8)].map(String.init)
    }

    /// Whether a look-up in a file system of this kind is the kernel's work alone.
    ///
    /// In others (FUSE, NFS, autofs, 9p and whatever comes next) it is a question to a program or another machine, perhaps
    /// a user's, and who asks may wait for ever. So what is not known here is not trusted. That goes for overlays too:
    /// their layers can be anything.
    static func isServedByKernel(_ type: some StringProtocol) -> Bool {
        kernelTypes.contains(String(type))
    }

    private static let kernelTypes: Set<String> = [
        // On disk.
        "bcachefs", "btrfs", "erofs", "ext2", "ext3", "ext4", "f2fs", "iso9660", "jfs", "squashfs", "vfat", "xfs",
        "zfs",
        // In memory.
        "devtmpfs", "hugetlbfs", "ramfs", "rootfs", "tmpfs",
        // The kernel's own words.
        "binfmt_misc", "bpf", "cgroup", "cgroup2", "configfs", "debugfs", "devpts", "efivarfs", "mqueue", "nsfs",
        "proc", "pstore", "securityfs", "selinuxfs", "sysfs", "tracefs",
    ]

    /// Spaces, tabs, line ends and backslashes are written as a backslash and three octal digits.
    private static func unescaped(_ field: ArraySlice<UInt8>) -> [UInt8] {
        guard field.contains(0x5c) else { return Array(field) }
        var result: [UInt8] = []
        var rest = field
        while let byte = rest.popFirst() {
            let digits = rest.prefix(3)
            if byte == 0x5c, digits.count == 3, let value = UInt8(String(decoding: digits, as: UTF8.self), radix: 8) {
                result.append(value)
                rest = rest.dropFirst(3)
            } else {
                result.append(byte)
            }
        }
        return result
    }
}
