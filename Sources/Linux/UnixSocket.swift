internal import Glibc
internal import SystemPackage

/// Why a socket cannot be listened on.
public enum UnixSocketError: Error, Hashable, Sendable {
    /// A living process listens there.
    case inUse(String)
    /// Something that is no socket has that name.
    case notSocket(String)
    case pathTooLong(String)
    case systemCall(SystemCallError)
}

/// A listening Unix stream socket in the file system.
public enum UnixSocket {
    /// Listens on `path`, in the place of a socket that a dead process left.
    ///
    /// - Parameter group: who, besides the owner, may connect (mode 0660); nil for nobody (0600).
    public static func listen(on path: String, group: String?) throws(UnixSocketError) -> UnixListener {
        guard var address = sockaddr_un(path: path) else { throw .pathTooLong(path) }
        do throws(SystemCallError) {
            let parent = path.lastIndex(of: "/").map { $0 == path.startIndex ? "/" : String(path[..<$0]) } ?? "."
            try Files.makeFolder(parent, mode: 0o755)
            // Two daemons that start at the same time look and bind one after the other.
            let lock = try Files.lockFolder(parent, waits: true)
            defer { _ = lock.rawValue }  // held until the socket listens
            if let problem = try occupant(of: path, &address) { throw SystemCallError(problem, .addressInUse) }

            let number = try systemCall("socket AF_UNIX") {
                socket(AF_UNIX, CInt(SOCK_STREAM.rawValue) | CInt(SOCK_CLOEXEC.rawValue), 0)
            }
            let descriptor = OwnedDescriptor(adopting: number)
            // No moment in which everybody could connect.
            let mask = umask(0o177)
            defer { umask(mask) }
            try systemCall("bind \(path)") {
                unsafe withSockaddr(&address) { unsafe bind(number, $0, $1) }
            }
            if let group, let entry = unsafe getgrnam(group) {
                let gid = unsafe entry.pointee.gr_gid
                try systemCall("chown \(path)") { unsafe chown(path, uid_t.max, gid) }
                try systemCall("chmod \(path)") { unsafe chmod(path, 0o660) }
            }
            try systemCall("listen \(path)") { Glibc.listen(number, 128) }
            return try UnixListener(descriptor)
        } catch {
            switch error.operation {
            case inUse: throw .inUse(path)
            case notSocket: throw .notSocket(path)
            default: throw .systemCall(error)
            }
        }
    }

    private static let inUse = "in use"
    private static let notSocket = "not a socket"

    /// Removes what a dead process left at `path`; says what else is there.
    private static func occupant(of path: String, _ address: inout sockaddr_un) throws(SystemCallError) -> String? {
        var status = stat()
        guard unsafe lstat(path, &status) == 0 else { return nil }
        guard status.st_mode & S_IFMT == S_IFSOCK else { return notSocket }
        let number = try systemCall("socket AF_UNIX") {
            socket(AF_UNIX, CInt(SOCK_STREAM.rawValue) | CInt(SOCK_CLOEXEC.rawValue) | CInt(SOCK_NONBLOCK.rawValue), 0)
        }
        let probe = OwnedDescriptor(adopting: number)
        do {
            try systemCall("connect \(path)") {
                unsafe withSockaddr(&address) { unsafe connect(probe.rawValue, $0, $1) }
            }
        } catch {
            // Refused: nobody listens. Anything else (a full backlog is EAGAIN) is somebody's.
            guard error.errno == .connectionRefused else { return inUse }
            try Files.remove(path)
            return nil
        }
        return inUse
    }

    private static func withSockaddr<Result>(
        _ address: inout sockaddr_un, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Result
    ) -> Result {
        unsafe withUnsafePointer(to: &address) {
            unsafe $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                unsafe body($0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
    }
}

extension sockaddr_un {
    /// nil if the path does not fit (108 bytes with its NUL, unix(7)).
    fileprivate init?(path: String) {
        self.init()
        sun_family = sa_family_t(AF_UNIX)
        let fits = unsafe withUnsafeMutableBytes(of: &sun_path) { room in
            guard path.utf8.count < room.count else { return false }
            unsafe room.copyBytes(from: path.utf8)
            return true
        }
        if !fits { return nil }
    }
}
