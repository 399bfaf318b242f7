internal import CLinux
internal import SystemPackage

/// The namespaces that belong to the machine and not to a pod.
package enum HostNamespace {
    /// The process's own.
    private final class Own: Sendable {
        let descriptor: OwnedDescriptor
        let status: FileStatus

        init() throws(SystemCallError) {
            let path = "/proc/self/ns/net"
            let descriptor = OwnedDescriptor(adopting: try systemCall("open \(path)") { unsafe clinux_open_read(path) })
            status = try FileStatus(of: descriptor)
            self.descriptor = descriptor
        }
    }

    private static let opened = Result { () throws(SystemCallError) in try Own() }

    private static var ownNamespace: Own {
        switch opened {
        case .success(let own): own
        case .failure(let error): preconditionFailure("\(error): is /proc mounted?")
        }
    }

    /// Held open as the way home for `NetworkNamespace.withEntered`.
    static var own: CInt { ownNamespace.descriptor.rawValue }

    private static var ownStatus: FileStatus { ownNamespace.status }

    /// Throws if the process's own namespace could not be opened: without it, no thread may enter another one. To be called
    /// once at the start; the answer holds for good.
    package static func check() throws(SystemCallError) { _ = try opened.get() }

    /// The kernel's one file system of namespaces: what is on it is a namespace, and what is not is none. Inode numbers
    /// are unique there.
    static var fileSystem: UInt64 { ownStatus.device }

    /// Inode numbers of the daemon's own namespace, of PID 1's, and of the one that the kernel started with.
    package static let inodes: Set<UInt64> = {
        var inodes: Set<UInt64> = [ownStatus.inode, initial]
        if case .success(let inode) = firstProcess { inodes.insert(inode) }
        return inodes
    }()

    /// Whether the process's own namespace is PID 1's, too.
    static var isOwn: Bool {
        guard case .success(let inode) = firstProcess else { return false }
        return inode == ownStatus.inode
    }

    /// The process's own namespace, for work in it.
    static func openOwn() throws(NamespaceError) -> NetworkNamespace {
        try NetworkNamespace(ownNamespace.descriptor, path: "/proc/self/ns/net")
    }

    /// The reason that PID 1's namespace is not among `inodes`; nil if it is.
    ///
    /// The daemon asks at its start: what is found then holds for good, and later a client might have used up what it
    /// takes to look (descriptors, say).
    package static var unknownFirstProcess: SystemCallError? {
        guard case .failure(let error) = firstProcess else { return nil }
        return error
    }

    /// Since Linux 6.18 the kernel's first network namespace has this number (NET_NS_INIT_INO); before, none has.
    private static let initial: UInt64 = 0xefff_fff9

    private static let firstProcess: Result<UInt64, SystemCallError> = {
        do throws(SystemCallError) {
            let path = "/proc/1/ns/net"
            let handle = OwnedDescriptor(adopting: try systemCall("open \(path)") { unsafe clinux_open_path(path) })
            return .success(try FileStatus(of: handle).inode)
        } catch {
            // Not everybody may look at the namespaces of PID 1. But /proc/PID/net shows files of the process's namespace,
            // and each namespace has its own.
            if let device = try? Files.inode(of: "/proc/1/net/dev"),
                device == (try? Files.inode(of: "/proc/self/net/dev"))
            {
                return .success(ownStatus.inode)
            }
            return .failure(error)
        }
    }()
}
