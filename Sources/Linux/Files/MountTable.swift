/// The mounts that this process sees, from /proc/self/mountinfo (proc(5)): what kind of file system is where.
///
/// Asking a file system itself for its kind, by statfs(2), would send a request to its server.
struct MountTable {
    private struct Mount {
        var number = 0..<0
        /// The mounted part of the file system.
        var root = 0..<0
        var point = 0..<0
        var type = 0..<0
    }

    private let bytes: [UInt8]
    private var mounts: [Mount] = []

    /// - Parameter bytes: the file's contents. A line that is not as it should be is left out.
    ///
    /// 36 35 98:0 /root /point rw,noatime master:1 - ext4 /dev/sda1 rw: the optional fields end with a dash, and the kind
    /// follows. A node with many pods has megabytes of this: each byte is looked at once, and no text is made of it.
    init(_ bytes: [UInt8]) {
        self.bytes = bytes
        var (mount, field, start, kind) = (Mount(), 0, 0, Int.max)
        for (index, byte) in bytes.enumerated() where byte == 0x20 || byte == 0x0a {
            switch field {
            case 0: mount.number = start..<index
            case 3: mount.root = start..<index
            case 4: mount.point = start..<index
            case kind: mount.type = start..<index
            case 6... where kind == .max && index - start == 1 && bytes[start] == 0x2d: kind = field + 1
            default: break
            }
            (field, start) = (field + 1, index + 1)
            if byte == 0x0a {
                if !mount.type.isEmpty { mounts.append(mount) }
                (mount, field, kind) = (Mount(), 0, .max)
            }
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
        mount(number).map { text($0.type) }
    }

    /// Whether all of a file system is mounted there, and not a folder of it.
    func isWhole(_ number: Substring) -> Bool {
        mount(number).map { text($0.root) } == "/"
    }

    /// The mount points of all file systems of a kind.
    func points(of type: String) -> [String] {
        mounts.filter { text($0.type) == type }.map { Self.unescaped(bytes[$0.point]) }
    }

    private func mount(_ number: Substring) -> Mount? {
        mounts.first { bytes[$0.number].elementsEqual(number.utf8) }
    }

    /// The places where a file system is mounted that is served from outside the kernel, with its kind.
    func foreign() -> [PathHash: String] {
        var places: [PathHash: String] = [:]
        for mount in mounts {
            let type = text(mount.type)
            if !Self.isServedByKernel(type) { places[PathHash(Self.unescaped(bytes[mount.point]))] = type }
        }
        return places
    }

    private func text(_ field: Range<Int>) -> String {
        String(decoding: bytes[field], as: UTF8.self)
    }

    /// Whether a look-up in a file system of this kind is the kernel's work alone.
    ///
    /// In others (FUSE, NFS, autofs, 9p and whatever comes next) it is a question to a program or another machine, perhaps
    /// a user's, and a lookup may block forever. So what is not known here is not trusted. That goes for overlays too:
    /// their layers can be anything.
    static func isServedByKernel(_ type: String) -> Bool {
        kernelTypes.contains(type)
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
    private static func unescaped(_ field: ArraySlice<UInt8>) -> String {
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
        return String(decoding: result, as: UTF8.self)
    }
}

/// A hash of a path, by which it is compared with many others. Adding a name takes constant time.
/// The hash is seeded for each process, so a client cannot construct a collision.
struct PathHash: Hashable {
    private var hasher = Hasher()

    init() {}

    init(_ path: String) {
        for name in path.utf8.split(separator: 0x2f) { hasher.combine(String(Substring(name))) }
    }

    mutating func append(_ name: String) { hasher.combine(name) }

    func hash(into hasher: inout Hasher) { hasher.combine(self.hasher.finalize()) }

    static func == (a: Self, b: Self) -> Bool { a.hasher.finalize() == b.hasher.finalize() }
}
