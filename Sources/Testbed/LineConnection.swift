internal import Linux
internal import Synchronization

/// A connection to a Unix socket on which lines come that nobody asked for.
public final class LineConnection: Sendable {
    private let socket: BlockingSocket
    /// What has come and was not asked for yet.
    private let rest = Mutex<[UInt8]>([])

    public init(_ path: String) throws {
        socket = try BlockingSocket(connectingTo: path)
    }

    public func send(_ line: String) async throws {
        try await Threads.run { try self.socket.send(line + "\n") }
    }

    /// The next line, without its end. One task at a time.
    ///
    /// - Throws: if none comes within two seconds, or the connection has ended.
    public func nextLine() async throws -> String {
        try await Threads.run {
            while true {
                if let line = self.takeLine() { return line }
                let more = try self.socket.receive()
                self.rest.withLock { $0 += more }
            }
        }
    }

    private func takeLine() -> String? {
        rest.withLock { rest in
            guard let end = rest.firstIndex(of: UInt8(ascii: "\n")) else { return nil }
            defer { rest.removeFirst(end + 1) }
            return String(decoding: rest[..<end], as: UTF8.self)
        }
    }
}
