internal import CLinux
internal import Glibc
internal import SystemPackage

/// An open network namespace: proved to be one, and kept alive until this goes away.
public struct NetworkNamespace: ~Copyable, Sendable {
    let descriptor: OwnedDescriptor
    /// The namespace's number: `st_ino` of its file, `net->ns.inum` in the kernel.
    public let inode: UInt64
    /// What it was opened by.
    public let path: String

    /// Opens what an absolute path names; see `NamespaceReference` for the care that is taken.
    public init(path: String) throws(NamespaceError) {
        guard path.utf8.first == 0x2f, let reference = NamespaceReference(path) else { throw .notFound(path) }
        self = try reference.open()
    }

    /// Opens what `handle` is for. Only now something is opened for real, and it is the very file that the handle is on, after
    /// that has turned out to lie on the kernel's file system of namespaces: opening a file there has no side effect.
    init(_ handle: borrowing OwnedDescriptor, path: String) throws(NamespaceError) {
        do throws(SystemCallError) {
            let status = try FileStatus(of: handle)
            guard status.device == HostNamespace.fileSystem else { throw Self.notNetworkNamespace }
            let number = try systemCall("open \(path)") { unsafe clinux_open_read("/proc/self/fd/\(handle.rawValue)") }
            let opened = OwnedDescriptor(adopting: number)
            guard try systemCall(Self.isNetworkNamespace, { clinux_is_network_namespace(number) }) == 1 else {
                throw Self.notNetworkNamespace
            }
            descriptor = opened
            inode = status.inode
            self.path = path
        } catch {
            throw NamespaceError(error, path: path)
        }
    }

    private static let isNetworkNamespace = "ioctl NS_GET_NSTYPE"
    /// How setns(2) itself would refuse such a descriptor.
    static let notNetworkNamespace = SystemCallError(isNetworkNamespace, .invalidArgument)

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
                clinux_setns_network(HostNamespace.own) == 0, "setns: no way home from a network namespace")
        }
        return try body()
    }
}
