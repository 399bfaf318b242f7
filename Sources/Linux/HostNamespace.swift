internal import CLinux
internal import SystemPackage

/// The namespaces that belong to the machine and not to a pod.
public enum HostNamespace {
    /// The daemon's own, held open as the way home for `NetworkNamespace.inside`.
    static let own: OwnedDescriptor = {
        let descriptor = unsafe clinux_open_read("/proc/self/ns/net")
        precondition(descriptor >= 0, "/proc/self/ns/net cannot be opened: is /proc mounted?")
        return OwnedDescriptor(adopting: descriptor)
    }()

    private static let ownStatus: FileStatus = {
        guard let status = try? FileStatus(of: own) else { preconditionFailure("statx of /proc/self/ns/net failed") }
        return status
    }()

    /// The kernel's one file system of namespaces: what is on it is a namespace, and what is not is none. Inode numbers
    /// are unique there.
    static var fileSystem: UInt64 { ownStatus.device }

    /// Inode numbers of the daemon's own namespace, of PID 1's, and of the one that the kernel started with.
    public static let inodes: Set<UInt64> = {
        var inodes: Set<UInt64> = [ownStatus.inode, initial]
        if case .success(let inode) = firstProcess { inodes.insert(inode) }
        return inodes
    }()

    /// Why PID 1's namespace is not among `inodes`; nil if it is.
    ///
    /// The daemon asks at its start: what is found then holds for good, and later a client might have used up what it
    /// takes to look (descriptors, say).
    public static var unknownFirstProcess: SystemCallError? {
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
