internal import CLinux
internal import Glibc
internal import SystemPackage

/// Why a path gave no network namespace.
public enum NamespaceError: Error, Hashable, Sendable {
    /// Nothing has that name. The text says what was looked for.
    case notFound(String)
    /// It is there, but is no network namespace.
    case notNetworkNamespace(String)
    case systemCall(SystemCallError)

    fileprivate init(_ error: SystemCallError, path: String) {
        switch error.errno {
        case _ where error == NetworkNamespace.notNetworkNamespace: self = .notNetworkNamespace(path)
        // A process that is gone has no directory in proc, one that is ending (a zombie) no namespace any more.
        case .noSuchFileOrDirectory, .notDirectory, .noSuchProcess, .tooManySymbolicLinkLevels, .fileNameTooLong:
            self = .notFound(path)
        default: self = .systemCall(error)
        }
    }
}

/// An open network namespace: proved to be one, and kept alive until this goes away.
public struct NetworkNamespace: ~Copyable, Sendable {
    let descriptor: OwnedDescriptor
    /// The namespace's number: `st_ino` of its file, `net->ns.inum` in the kernel.
    public let inode: UInt64
    /// What it was opened by.
    public let path: String

    /// Opens what `path` names without side effects: first as O_PATH, which opens no device and no FIFO, and for reading
    /// only once that handle has turned out to be on nsfs. The handle is what is judged and used, never the path again.
    public init(path: String) throws(NamespaceError) {
        do {
            self = try Self.proved(path)
        } catch {
            throw NamespaceError(error, path: path)
        }
    }

    private init(descriptor: consuming OwnedDescriptor, inode: UInt64, path: String) {
        self.descriptor = descriptor
        self.inode = inode
        self.path = path
    }

    private static func proved(_ path: String) throws(SystemCallError) -> NetworkNamespace {
        let handle = OwnedDescriptor(adopting: try systemCall("open \(path)") { unsafe clinux_open_path(path) })
        guard try Files.fileSystemType(of: handle) == UInt64(CLINUX_NSFS_MAGIC) else { throw notNetworkNamespace }
        let number = try systemCall("open \(path)") { unsafe clinux_open_read("/proc/self/fd/\(handle.rawValue)") }
        let opened = OwnedDescriptor(adopting: number)
        guard try systemCall(isNetworkNamespace, { clinux_is_network_namespace(number) }) == 1 else {
            throw notNetworkNamespace
        }
        var status = stat()
        try systemCall("fstat") { unsafe fstat(number, &status) }
        return NetworkNamespace(descriptor: opened, inode: UInt64(status.st_ino), path: path)
    }

    private static let isNetworkNamespace = "ioctl NS_GET_NSTYPE"
    /// How setns(2) itself would refuse such a descriptor.
    fileprivate static let notNetworkNamespace = SystemCallError(isNetworkNamespace, .invalidArgument)

    /// Runs `body` on the calling thread inside the namespace and comes home again.
    ///
    /// The one place of setns. `body` only opens sockets and the namespace's files in proc: they stay in the namespace
    /// when the thread goes home. The caller owns the thread (never an event loop, never the cooperative pool), and
    /// `body` cannot suspend. A thread that can't come home would do everybody's work in the wrong namespace, so that
    /// ends the process.
    public borrowing func inside<Result: ~Copyable>(
        _ body: () throws(SystemCallError) -> Result
    ) throws(SystemCallError) -> Result {
        try systemCall("setns") { clinux_setns_network(descriptor.rawValue) }
        defer {
            precondition(
                clinux_setns_network(HostNamespace.own.rawValue) == 0, "setns: no way home from a network namespace")
        }
        return try body()
    }
}

/// The namespaces that belong to the machine and not to a pod.
public enum HostNamespace {
    /// The daemon's own, held open as the way home for `inside`.
    static let own: OwnedDescriptor = {
        let descriptor = unsafe clinux_open_read("/proc/self/ns/net")
        precondition(descriptor >= 0, "/proc/self/ns/net cannot be opened: is /proc mounted?")
        return OwnedDescriptor(adopting: descriptor)
    }()

    /// Inode numbers of the daemon's own namespace and of PID 1's.
    public static let inodes: Set<UInt64> = {
        var inodes: Set<UInt64> = []
        for path in ["/proc/self/ns/net", "/proc/1/ns/net"] {
            // PID 1's cannot be read without CAP_SYS_PTRACE; the daemon's own always can.
            if let inode = try? NetworkNamespace(path: path).inode { inodes.insert(inode) }
        }
        return inodes
    }()
}
