internal import Glibc
internal import SystemPackage

/// Why a socket cannot be listened on.
public enum UnixSocketError: Error, Hashable, Sendable {
    /// A living process listens there.
    case inUse(String)
    /// Something that is no socket has that name.
    case notSocket(String)
    case pathTooLong(String)
    /// systemd passed something else than one listening Unix stream socket.
    case notPassed(String)
    case systemCall(SystemCallError)
}

/// A listening Unix stream socket in the file system.
public enum UnixSocket {
    /// The socket that systemd listens on for this process; nil if it has passed none.
    public static func passed() throws(UnixSocketError) -> (listener: UnixListener, path: String)? {
        let count = ServiceManager.passedSockets
        if count == 0 { return nil }
        guard count == 1 else { throw .notPassed("\(count) sockets") }
        let number = ServiceManager.firstPassedSocket
        do throws(SystemCallError) {
            try systemCall("fcntl F_SETFD") { fcntl(number, F_SETFD, FD_CLOEXEC) }
            let descriptor = OwnedDescriptor(adopting: number)
            for (option, value) in [(SO_DOMAIN, AF_UNIX), (SO_TYPE, CInt(SOCK_STREAM.rawValue)), (SO_ACCEPTCONN, 1)] {
                guard try self.option(option, of: number) == value else { throw notListening }
            }
            return (try UnixListener(descriptor), try path(of: number))
        } catch {
            if error == notListening { throw .notPassed(notListening.operation) }
            throw .systemCall(error)
        }
    }

    private static let notListening = SystemCallError("something that is no listening Unix stream socket", .notSocket)

    private static func option(_ option: CInt, of number: CInt) throws(SystemCallError) -> CInt {
        var value: CInt = 0
        var length = socklen_t(MemoryLayout<CInt>.size)
        try systemCall("getsockopt") { unsafe getsockopt(number, SOL_SOCKET, option, &value, &length) }
        return value
    }

    private static func path(of number: CInt) throws(SystemCallError) -> String {
        var address = sockaddr_un()
        var length = socklen_t(MemoryLayout<sockaddr_un>.size)
        try systemCall("getsockname") {
            unsafe withUnsafeMutablePointer(to: &address) {
                unsafe $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { unsafe getsockname(number, $0, &length) }
            }
        }
        return unsafe withUnsafeBytes(of: address.sun_path) { path in
            unsafe String(decoding: path.prefix { $0 != 0 }, as: UTF8.self)
        }
    }

    /// Listens on `path`, in the place of a socket that a dead process left.
    ///
    /// - Parameter group: who, besides the owner, may connect (mode 0660); nil for nobody (0600).
    public static func listen(on path: String, group: String?) throws(UnixSocketError) -> UnixListener {
        guard var address = UnixAddress(path) else { throw .pathTooLong(path) }
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
                unsafe address.with { unsafe bind(number, $0, $1) }
            }
            if let group, let entry = unsafe getgrnam(group) {
                let gid = unsafe entry.pointee.gr_gid
                try systemCall("chown \(path)") { unsafe chown(path, uid_t.max, gid) }
                try systemCall("chmod \(path)") { unsafe chmod(path, 0o660) }
            }
            // As systemd does. A client that does not wait (O_NONBLOCK) gets EAGAIN when this many wait before it.
            try systemCall("listen \(path)") { Glibc.listen(number, 4096) }
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
    private static func occupant(of path: String, _ address: inout UnixAddress) throws(SystemCallError) -> String? {
        var status = stat()
        guard unsafe lstat(path, &status) == 0 else { return nil }
        guard status.st_mode & S_IFMT == S_IFSOCK else { return notSocket }
        let number = try systemCall("socket AF_UNIX") {
            socket(AF_UNIX, CInt(SOCK_STREAM.rawValue) | CInt(SOCK_CLOEXEC.rawValue) | CInt(SOCK_NONBLOCK.rawValue), 0)
        }
        let probe = OwnedDescriptor(adopting: number)
        do {
            try systemCall("connect \(path)") {
                unsafe address.with { unsafe connect(probe.rawValue, $0, $1) }
            }
        } catch {
            // Refused: nobody listens. Anything else (a full backlog is EAGAIN) is somebody's.
            guard error.errno == .connectionRefused else { return inUse }
            try Files.remove(path)
            return nil
        }
        return inUse
    }
}
