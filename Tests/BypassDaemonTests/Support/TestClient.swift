import Glibc
import JSONRPC
import Linux
import StrictJSON
import Testing

/// A client's end of a connection, which reads when the test does.
final class TestClient {
    private let socket: SharedDescriptor
    private var received: [UInt8] = []
    private var isAtEnd = false

    init(_ descriptor: consuming OwnedDescriptor) {
        socket = SharedDescriptor(descriptor)
    }

    /// Sends all of a text. The server has to read what does not fit into the socket.
    func send(_ text: some StringProtocol) {
        Self.send(Array(text.utf8), socket)
    }

    /// The same on a thread of its own, for more than fits while the client does not read.
    func sendMeanwhile(_ text: String, then: @escaping @Sendable () -> Void = {}) throws {
        let socket = self.socket
        try Thread.start("test client") {
            Self.send(Array(text.utf8), socket)
            then()
        }
    }

    private static func send(_ bytes: [UInt8], _ socket: SharedDescriptor) {
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = unsafe rest.withUnsafeBytes {
                unsafe Glibc.send(socket.descriptor.rawValue, $0.baseAddress, $0.count, CInt(MSG_NOSIGNAL))
            }
            if count <= 0 { return }
            rest = rest.dropFirst(count)
        }
    }

    /// Waits for the next lines, and takes them.
    func lines(_ count: Int) throws -> [String] {
        var lines: [String] = []
        let deadline = testDeadline()
        while lines.count < count {
            if let line = takeLine() {
                lines.append(line)
            } else {
                try #require(try receive(until: deadline), "the connection ended after \(lines)")
            }
        }
        return lines
    }

    func line() throws -> String { try lines(1)[0] }

    /// The `id` of each of the next answers.
    func ids(_ count: Int) throws -> [JSONValue?] {
        try lines(count).map { try JSONReader.read($0).object?["id"] }
    }

    /// All lines until the server ends the connection.
    func remainingLines() throws -> [String] {
        let deadline = testDeadline()
        while try receive(until: deadline) {}
        var lines: [String] = []
        while let line = takeLine() { lines.append(line) }
        #expect(received == [])
        return lines
    }

    /// Whether the server has ended the connection, and everything has been read.
    var isClosed: Bool {
        while (try? receive(until: .now)) == true {}
        return isAtEnd && received.isEmpty
    }

    /// Whether the server has sent something that has not been read.
    var hasInput: Bool {
        var question = pollfd(fd: socket.descriptor.rawValue, events: Int16(POLLIN), revents: 0)
        return unsafe poll(&question, 1, 0) > 0
    }

    /// Shuts the client's writing side down, as socat does at the end of its input.
    func shutDownWriting() { shutdown(socket.descriptor.rawValue, CInt(SHUT_WR)) }

    /// Goes away: nothing can be read or written any more.
    func goAway() { shutdown(socket.descriptor.rawValue, CInt(SHUT_RDWR)) }

    private func takeLine() -> String? {
        guard let end = received.firstIndex(of: UInt8(ascii: "\n")) else { return nil }
        defer { received.removeFirst(end + 1) }
        return String(decoding: received[..<end], as: UTF8.self)
    }

    private struct NothingReceived: Error {}

    /// - Returns: false at the end of what the server sends.
    private func receive(until deadline: Instant) throws -> Bool {
        if isAtEnd { return false }
        var question = pollfd(fd: socket.descriptor.rawValue, events: Int16(POLLIN), revents: 0)
        guard unsafe poll(&question, 1, (deadline - .now).pollMilliseconds) > 0 else { throw NothingReceived() }
        var buffer = [UInt8](repeating: 0, count: 64 * 1024)
        let count = unsafe recv(socket.descriptor.rawValue, &buffer, buffer.count, CInt(MSG_DONTWAIT))
        if count <= 0 { isAtEnd = true } else { received += buffer[..<count] }
        return !isAtEnd
    }
}
