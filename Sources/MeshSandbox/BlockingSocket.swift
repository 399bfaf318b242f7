internal import Glibc
package import Linux
internal import SystemPackage

/// The client's end of a connection that speaks in lines. It blocks, for at most `timeout` a call: use it on `Threads`.
package struct BlockingSocket: ~Copyable, Sendable {
    /// Seconds.
    static let timeout = 2
    /// Of Unix sockets: a daemon may be busy, and the machine too.
    private static let localTimeout = 10

    private let descriptor: OwnedDescriptor

    /// Connects to an IP address from inside a namespace.
    ///
    /// - Parameter own: the socket's own address and port; any if nil.
    init(
        connectingTo address: SocketAddress, from namespace: borrowing NetworkNamespace,
        bindingTo own: SocketAddress? = nil
    ) throws(SystemCallError) {
        // The socket stays in the namespace: only its making has to happen inside.
        let socket = try namespace.withEntered { () throws(SystemCallError) in try Self.open(address.family) }
        // Closing resets the connection. Otherwise each would hold its port for a minute (TIME_WAIT), and a probe
        // would run out of ports within seconds.
        try Self.set(SOL_SOCKET, SO_LINGER, to: linger(l_onoff: 1, l_linger: 0), of: socket)
        if let own {
            let reuse: CInt = 1
            try Self.set(SOL_SOCKET, SO_REUSEADDR, to: reuse, of: socket)
            try Self.bind(socket, to: own)
        }
        try self.init(socket, connectingTo: address, timeout: Self.timeout)
    }

    /// Connects to a Unix socket.
    package init(connectingTo path: String) throws(SystemCallError) {
        guard let address = SocketAddress(unix: path) else {
            throw SystemCallError("connect \(path)", .fileNameTooLong)
        }
        try self.init(try Self.open(AF_UNIX), connectingTo: address, timeout: Self.localTimeout)
    }

    private init(
        _ socket: consuming OwnedDescriptor, connectingTo address: SocketAddress, timeout: Int
    ) throws(SystemCallError) {
        let limit = timeval(tv_sec: timeout, tv_usec: 0)
        try Self.set(SOL_SOCKET, SO_RCVTIMEO, to: limit, of: socket)
        try Self.set(SOL_SOCKET, SO_SNDTIMEO, to: limit, of: socket)
        let number = socket.rawValue
        try Self.timed("connect \(address)") {
            unsafe address.with { unsafe Glibc.connect(number, $0, $1) }
        }
        descriptor = socket
    }

    package borrowing func send(_ text: String) throws(SystemCallError) {
        var rest = Array(text.utf8)[...]
        while !rest.isEmpty {
            let sent = try Self.timed("send") {
                unsafe rest.withUnsafeBytes {
                    unsafe Glibc.send(descriptor.rawValue, $0.baseAddress, $0.count, CInt(MSG_NOSIGNAL))
                }
            }
            rest = rest.dropFirst(sent)
        }
    }

    /// Sends a line and waits for one.
    package borrowing func exchange(_ line: String) throws(SystemCallError) -> String {
        try send(line + "\n")
        return try readLine()
    }

    /// The next line, without its end. Nothing may be on its way behind it: that would be lost.
    package borrowing func readLine() throws(SystemCallError) -> String {
        var line: [UInt8] = []
        while line.last != UInt8(ascii: "\n") { line += try receive() }
        return String(decoding: line.dropLast(), as: UTF8.self)
    }

    /// The received bytes, at least one.
    package borrowing func receive() throws(SystemCallError) -> ArraySlice<UInt8> {
        var chunk = [UInt8](repeating: 0, count: 16384)
        let count = try Self.timed("recv") {
            unsafe chunk.withUnsafeMutableBytes {
                unsafe recv(descriptor.rawValue, $0.baseAddress, $0.count, 0)
            }
        }
        guard count > 0 else { throw SystemCallError("recv: the peer closed the connection", .connectionReset) }
        return chunk[..<count]
    }

    /// The socket timeouts come as EAGAIN and, from connect, as EINPROGRESS; neither says what happened.
    @discardableResult
    private static func timed<Result: FixedWidthInteger & SignedInteger>(
        _ operation: @autoclosure () -> String, _ body: () -> Result
    ) throws(SystemCallError) -> Result {
        do {
            return try systemCall(operation(), body)
        } catch let error where error.errno == .resourceTemporarilyUnavailable || error.errno == .nowInProgress {
            throw SystemCallError(error.operation, .timedOut)
        }
    }
}

extension BlockingSocket {
    static func address(ip: String, port: Int) throws(SystemCallError) -> SocketAddress {
        guard let address = SocketAddress(ip: ip, port: port) else { throw SystemCallError("\(ip)", .invalidArgument) }
        return address
    }

    static func open(_ family: CInt, _ flags: __socket_type = SOCK_CLOEXEC) throws(SystemCallError) -> OwnedDescriptor {
        let type = CInt(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue | flags.rawValue)
        return OwnedDescriptor(adopting: try systemCall("socket") { socket(family, type, 0) })
    }

    static func set<Value: BitwiseCopyable>(
        _ level: some BinaryInteger, _ option: CInt, to value: Value, of socket: borrowing OwnedDescriptor
    ) throws(SystemCallError) {
        var value = value
        let number = socket.rawValue
        try systemCall("setsockopt \(level) \(option)") {
            unsafe setsockopt(number, CInt(level), option, &value, socklen_t(MemoryLayout<Value>.size))
        }
    }

    static func bind(
        _ socket: borrowing OwnedDescriptor, to address: SocketAddress
    ) throws(SystemCallError) {
        let number = socket.rawValue
        try systemCall("bind \(address)") {
            unsafe address.with { unsafe Glibc.bind(number, $0, $1) }
        }
    }
}

/// A cheap client of the daemon, for measuring: one connection, and one call at a time, which blocks. Not for the
/// cooperative pool.
package final class LineClient: Sendable {
    private let socket: BlockingSocket

    /// Connects to a Unix socket.
    package init(_ path: String) throws {
        socket = try BlockingSocket(connectingTo: path)
    }

    /// Sends a line and returns the one that comes back.
    package func call(_ line: String) throws -> String {
        try socket.exchange(line)
    }
}
