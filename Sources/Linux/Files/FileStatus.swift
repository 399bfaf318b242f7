internal import CLinux
internal import Glibc

/// The kernel's own knowledge of a file. The file is not opened, and the server of its file system is not asked: that
/// can be a user's program, which may never answer.
struct FileStatus: Hashable {
    var device: UInt64
    var inode: UInt64
    var owner: UInt32
    var mode: UInt32
    /// The names that it has: 0 for a file that was removed while it is open.
    var links: UInt32

    init(device: UInt64, inode: UInt64, owner: UInt32, mode: UInt32, links: UInt32 = 1) {
        self.device = device
        self.inode = inode
        self.owner = owner
        self.mode = mode
        self.links = links
    }

    init(of handle: borrowing OwnedDescriptor) throws(SystemCallError) {
        try self.init(folder: handle.rawValue, name: "", operation: "statx")
    }

    /// The status of a path itself, also if it is a link.
    init(path: String) throws(SystemCallError) {
        try self.init(folder: AT_FDCWD, name: path, operation: "statx \(path)")
    }

    private init(folder: CInt, name: String, operation: String) throws(SystemCallError) {
        var status = clinux_status()
        try systemCall(operation) { unsafe clinux_status(folder, name, &status) }
        self.init(
            device: status.device, inode: status.inode, owner: status.owner, mode: status.mode, links: status.links)
    }

    /// Whether the file lies on the kernel's file system of namespaces.
    var isNamespace: Bool { device == HostNamespace.fileSystem }

    var isLink: Bool { mode & S_IFMT == S_IFLNK }

    /// Whether only root can put something into this folder, or take something out.
    var isRootsAlone: Bool { belongs(toOnly: 0) }

    /// Whether only this user, and root, can put something into this folder, or take something out.
    func belongs(toOnly user: UInt32) -> Bool { owner == user && mode & (S_IWGRP | S_IWOTH) == 0 }

    /// Whether this is a folder in which not everybody may look up what is there. A group can have fewer rights than others.
    var isPrivateFolder: Bool {
        let search = S_IXUSR | S_IXGRP | S_IXOTH
        return mode & S_IFMT == S_IFDIR && mode & search != search
    }
}
