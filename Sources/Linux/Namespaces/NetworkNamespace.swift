internal import CLinux
internal import Glibc
internal import SystemPackage

/// An open network namespace: proved to be one, and kept alive until this goes away.
package struct NetworkNamespace: ~Copyable, Sendable {
    let descriptor: OwnedDescriptor
    /// The namespace's number: `st_ino` of its file, `net->ns.inum` in the kernel.
    package let inode: UInt64
    /// The reference by which it was opened.
    package let path: String

    /// Its descriptor, for the kernel only.
    package var rawValue: CInt { descriptor.rawValue }

    /// Opens what an absolute path names; see `NamespaceReference` for the care that is taken.
    package init(path: String) throws(NamespaceError) {
        guard path.utf8.first == 0x2f, let reference = NamespaceReference(path) else { throw .notFound(path) }
        self = try reference.open()
    }

    /// Opens what `handle` is for. Only now something is opened for real, and it is the very file that the handle is on, after
    /// that has turned out to lie on the kernel's file system of namespaces: opening a file there has no side effect.
    init(_ handle: borrowing OwnedDescriptor, path: String) throws(NamespaceError) {
        do throws(SystemCallError) {
            let status = try FileStatus(of: handle)
            guard status.isNamespace else { throw Self.notNetworkNamespace }
            let number = try systemCall("open \(path)") { clinux_reopen(handle.rawValue) }
            try self.init(OwnedDescriptor(adopting: number), status, path: path)
        } catch {
            throw NamespaceError(error, path: path)
        }
    }

    /// Opens a file in a folder where only root can put anything, once its name stands for a namespace: the file of a handle is
    /// found by another walk through proc, which takes as long as all else here.
    init(file path: String) throws(SystemCallError) {
        guard try FileStatus(path: path).isNamespace else { throw Self.notNetworkNamespace }
        let number = try systemCall("open \(path)") { unsafe clinux_open_without_links(path) }
        let opened = OwnedDescriptor(adopting: number)
        let status = try FileStatus(of: opened)
        try self.init(opened, status, path: path)
    }

    /// - Parameter status: of the file that was opened.
    private init(
        _ opened: consuming OwnedDescriptor, _ status: FileStatus, path: String
    ) throws(SystemCallError) {
        let number = opened.rawValue
        guard status.isNamespace,
            try systemCall(Self.isNetworkNamespace, { clinux_is_network_namespace(number) }) == 1
        else { throw Self.notNetworkNamespace }
        descriptor = opened
        inode = status.inode
        self.path = path
    }

    /// The namespace that a socket is in, for code that has to enter it again.
    package init(of socket: borrowing OwnedDescriptor) throws(SystemCallError) {
        let number = try systemCall("ioctl SIOCGSKNS") { clinux_socket_namespace(socket.rawValue) }
        let opened = OwnedDescriptor(adopting: number)
        inode = try FileStatus(of: opened).inode
        path = "/proc/self/fd/\(number)"
        descriptor = opened
    }

    private static let isNetworkNamespace = "ioctl NS_GET_NSTYPE"
    /// The error with which setns(2) itself would refuse such a descriptor.
    static let notNetworkNamespace = SystemCallError(isNetworkNamespace, .invalidArgument)

    /// Runs `body` on the calling thread inside the namespace and comes home again.
    ///
    /// The one place of setns. `body` only opens sockets and the namespace's files in proc: they stay in the namespace
    /// when the thread goes home. The caller owns the thread (never an event loop, never the cooperative pool), and
    /// `body` cannot suspend. A thread that can't come home would do everybody's work in the wrong namespace, so that
    /// ends the process.
    package borrowing func withEntered<Result: ~Copyable>(
        _ body: () throws(SystemCallError) -> Result
    ) throws(SystemCallError) -> Result {
        try systemCall("setns") { clinux_setns_network(descriptor.rawValue) }
        defer {
            precondition(
                clinux_setns_network(HostNamespace.own) == 0, "setns: no way home from a network namespace")
        }
        return try body()
    }
}

/// The reason that a reference leads to no network namespace.
package enum NamespaceError: Error, Hashable, Sendable {
    /// Nothing has that name, which is the text.
    case notFound(String)
    /// It is there, but is not a network namespace.
    case notNetworkNamespace(String)
    /// It may be one, but finding out would do what the user who planted it wants. The text is a sentence that says why.
    case notFollowed(String)
    /// A path leads to no network namespace, and through a folder that not every user may search: a caller other than root
    /// learns no more than that.
    case hiddenFromCaller(String)
    /// The reference is that of several namespaces. The text is a sentence that names them.
    case ambiguous(String)
    /// All processes of this pod or container are in the host's namespace.
    case workloadOnHost(String)
    /// It is the namespace of PID 1, which the kernel lets no process open here.
    case firstProcess(SystemCallError)
    case systemCall(SystemCallError)

    /// - Parameters:
    ///   - path: what was to be opened.
    ///   - process: whose namespace that is, as it is written in a path.
    init(_ error: SystemCallError, path: String, process: String? = nil) {
        switch error.errno {
        case _ where error == NetworkNamespace.notNetworkNamespace: self = .notNetworkNamespace(path)
        // A process that is gone has no directory in proc, one that is ending (a zombie) no namespace any more.
        case .noSuchFileOrDirectory, .notDirectory, .noSuchProcess, .tooManySymbolicLinkLevels, .fileNameTooLong:
            self = .notFound(path)
        case .permissionDenied where process == "1", .notPermitted where process == "1": self = .firstProcess(error)
        default: self = .systemCall(error)
        }
    }
}
