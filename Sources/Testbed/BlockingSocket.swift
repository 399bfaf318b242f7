internal import Glibc
internal import Linux
internal import NIOCore
internal import SystemPackage

/// The client's end of a connection that speaks in lines. It blocks, for at most `timeout` a call: use it on `Threads`.
struct BlockingSocket: ~Copyable, Sendable {
    static let timeout = 2

    private let descriptor: OwnedDescriptor

    /// Connects to an IP address from inside a namespace.
    init(connectingTo address: SocketAddress, from namespace: borrowing NetworkNamespace) throws(SystemCallError) {
        let family = address.protocol == .inet ? AF_INET : AF_INET6
        // The socket stays in the namespace: only its making has to happen inside.
        let socket = try namespace.withEntered { () throws(SystemCallError) in try Self.open(family) }
        // Closing resets the connection. Otherwise each would hold its port for a minute (TIME_WAIT), and a prober
        // would run out of ports within seconds.
        try Self.set(SOL_SOCKET, SO_LINGER, to: linger(l_onoff: 1, l_linger: 0), of: socket)
        try self.init(socket, connectingTo: address)
    }

    /// Connects to a Unix socket.
    init(connectingTo path: String) throws {
        let address = try SocketAddress(unixDomainSocketPath: path)
        try self.init(try Self.open(AF_UNIX), connectingTo: address)
    }

    private init(_ socket: consuming OwnedDescriptor, connectingTo address: SocketAddress) throws(SystemCallError) {
        let limit = timeval(tv_sec: Self.timeout, tv_usec: 0)
        try Self.set(SOL_SOCKET, SO_RCVTIMEO, to: limit, of: socket)
        try Self.set(SOL_SOCKET, SO_SNDTIMEO, to: limit, of: socket)
        let number = socket.rawValue
        try Self.timed("connect \(address)") {
            unsafe address.withSockAddr { unsafe Glibc.connect(number, $0, socklen_t($1)) }
        }
        descriptor = socket
    }

    borrowing func send(_ text: String) throws(SystemCallError) {
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

    /// The next line, without its end. Nothing may be on its way behind it: that would be lost.
    borrowing func readLine() throws(SystemCallError) -> String {
        var line: [UInt8] = []
        while line.last != UInt8(ascii: "\n") { line += try receive() }
        return String(decoding: line.dropLast(), as: UTF8.self)
    }

    /// What has come, at least one byte.
    borrowing func receive() throws(SystemCallError) -> ArraySlice<UInt8> {
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
    static func open(_ family: CInt) throws(SystemCallError) -> OwnedDescriptor {
        let type = CInt(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue)
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
            unsafe address.withSockAddr { unsafe Glibc.bind(number, $0, socklen_t($1)) }
        }
    }
}
