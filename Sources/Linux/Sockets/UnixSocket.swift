internal import Glibc
internal import SystemPackage

/// The reason that a socket cannot be listened on.
package enum UnixSocketError: Error, Hashable, Sendable {
    /// A living process listens there.
    case inUse(String)
    /// Something that is not a socket has that name.
    case notSocket(String)
    case pathTooLong(String)
    /// systemd passed something else than one listening Unix stream socket.
    case notPassed(String)
    /// The socket that systemd has passed is no longer in the file system.
    case removed(String)
    /// No server of accounts has answered yet which number the group has that may connect.
    case unknownGroup(String)
    case systemCall(SystemCallError)
}

/// A listening Unix stream socket in the file system.
package enum UnixSocket {
    /// The socket that systemd listens on for this process; nil if it has passed none.
    package static func passed() throws(UnixSocketError) -> (listener: UnixListener, path: String)? {
        let count = Systemd.passedSockets
        if count == 0 { return nil }
        guard count == 1 else { throw .notPassed("\(count) sockets") }
        let number = Systemd.firstPassedSocket
        let descriptor = OwnedDescriptor(adopting: number)
        try mapError(try systemCall("fcntl F_SETFD") { fcntl(number, F_SETFD, FD_CLOEXEC) })
        for (option, value) in [(SO_DOMAIN, AF_UNIX), (SO_TYPE, CInt(SOCK_STREAM.rawValue)), (SO_ACCEPTCONN, 1)] {
            guard try mapError(try self.option(option, of: number)) == value else {
                throw .notPassed("something that is not a listening Unix stream socket")
            }
        }
        do throws(SystemCallError) {
            return (try UnixListener(descriptor), try path(of: number))
        } catch {
            throw .systemCall(error)
        }
    }

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
    /// - Parameters:
    ///   - group: the group that may connect besides the owner (mode 0660); nil for none (0600).
    ///   - waits: while another process has the folder locked; otherwise that throws EAGAIN.
    package static func listen(
        on path: String, group: UInt32?, waits: Bool = true
    ) throws(UnixSocketError) -> UnixListener {
        guard var address = UnixAddress(path) else { throw .pathTooLong(path) }
        let parent = path.lastIndex(of: "/").map { $0 == path.startIndex ? "/" : String(path[..<$0]) } ?? "."
        try mapError(try Files.makeFolder(parent, mode: 0o755))
        // Of two daemons that start at the same time, the second checks the path once the first listens.
        let lock = try mapError(try Files.lockFolder(parent, waits: waits))
        defer { _ = lock.rawValue }  // held until the socket listens
        switch try mapError(try occupant(of: path, &address)) {
        case .listener: throw .inUse(path)
        case .other: throw .notSocket(path)
        case nil: break
        }
        return try mapError(try bindAndListen(path, &address, group: group))
    }

    private static func bindAndListen(
        _ path: String, _ address: inout UnixAddress, group: UInt32?
    ) throws(SystemCallError) -> UnixListener {
        let number = try systemCall("socket AF_UNIX") {
            socket(AF_UNIX, CInt(SOCK_STREAM.rawValue) | CInt(SOCK_CLOEXEC.rawValue), 0)
        }
        let descriptor = OwnedDescriptor(adopting: number)
        try systemCall("bind \(path)") {
            unsafe address.with { unsafe bind(number, $0, $1) }
        }
        // Before it listens: there is no moment in which every user could connect.
        try systemCall("chmod \(path)") { unsafe chmod(path, 0o600) }
        if let group { try give(path, to: group) }
        // As systemd does. A client that does not wait (O_NONBLOCK) gets EAGAIN when this many wait before it.
        try systemCall("listen \(path)") { Glibc.listen(number, 4096) }
        return try UnixListener(descriptor)
    }

    /// Lets a group connect, besides the owner.
    package static func admit(_ group: UInt32, to path: String) throws(UnixSocketError) {
        try mapError(try give(path, to: group))
    }

    private static func give(_ path: String, to group: UInt32) throws(SystemCallError) {
        try systemCall("chown \(path)") { unsafe chown(path, uid_t.max, group) }
        try systemCall("chmod \(path)") { unsafe chmod(path, 0o660) }
    }

    /// The object at the path of a socket that is to be made.
    private enum Occupant {
        /// A socket with a listener.
        case listener
        /// No socket.
        case other
    }

    /// Removes what a dead process left at `path`.
    ///
    /// - Returns: what else is there; nil for nothing.
    private static func occupant(of path: String, _ address: inout UnixAddress) throws(SystemCallError) -> Occupant? {
        var status = stat()
        do {
            try systemCall("lstat \(path)") { unsafe lstat(path, &status) }
        } catch {
            if error.meansAbsent { return nil }
            throw error
        }
        guard status.st_mode & S_IFMT == S_IFSOCK else { return .other }
        let number = try systemCall("socket AF_UNIX") {
            socket(AF_UNIX, CInt(SOCK_STREAM.rawValue) | CInt(SOCK_CLOEXEC.rawValue) | CInt(SOCK_NONBLOCK.rawValue), 0)
        }
        let probe = OwnedDescriptor(adopting: number)
        do {
            try systemCall("connect \(path)") {
                unsafe address.with { unsafe connect(probe.rawValue, $0, $1) }
            }
        } catch {
            // Refused: there is no listener. Anything else (a full backlog is EAGAIN) means a listener.
            guard error.errno == .connectionRefused else { return .listener }
            try Files.remove(path)
            return nil
        }
        return .listener
    }
}

/// The result of a system call, for a socket that is to be listened on.
@discardableResult
private func mapError<Result: ~Copyable>(
    _ result: @autoclosure () throws(SystemCallError) -> Result
) throws(UnixSocketError) -> Result {
    do throws(SystemCallError) {
        return try result()
    } catch {
        throw .systemCall(error)
    }
}

/// The address of a Unix socket (unix(7)).
struct UnixAddress {
    private var address = sockaddr_un()
    private let length: socklen_t

    /// - Parameter path: in the file system, or with a leading `@` in the abstract namespace.
    /// - Returns: nil if the path is empty or does not fit (108 bytes with its NUL).
    init?(_ path: String) {
        let bytes = Array(path.utf8)
        let room = MemoryLayout.size(ofValue: address.sun_path)
        guard !bytes.isEmpty, bytes.count < room else { return nil }
        let isAbstract = bytes[0] == UInt8(ascii: "@")
        address.sun_family = sa_family_t(AF_UNIX)
        unsafe withUnsafeMutableBytes(of: &address.sun_path) { room in
            unsafe room.copyBytes(from: bytes)
            if isAbstract { unsafe room[0] = 0 }
        }
        // An abstract name is as long as the address says; one in the file system ends with a NUL.
        let header = MemoryLayout<sockaddr_un>.size - room
        length = socklen_t(header + bytes.count + (isAbstract ? 0 : 1))
    }

    mutating func with<Result>(_ body: (UnsafePointer<sockaddr>, socklen_t) -> Result) -> Result {
        unsafe withUnsafePointer(to: &address) {
            unsafe $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { unsafe body($0, length) }
        }
    }
}
