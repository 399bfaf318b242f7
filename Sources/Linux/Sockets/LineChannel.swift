internal import Glibc
internal import SystemPackage

/// One end of a channel to a process that answers each line with one.
package final class LineChannel: Sendable {
    private let descriptor: OwnedDescriptor

    private init(_ descriptor: consuming OwnedDescriptor) {
        self.descriptor = descriptor
    }

    /// A channel, and the end that is for the other process.
    package static func make() throws(SystemCallError) -> (LineChannel, SharedDescriptor) {
        var ends: [CInt] = [-1, -1]
        try systemCall("socketpair") {
            unsafe socketpair(AF_UNIX, CInt(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0, &ends)
        }
        return (LineChannel(OwnedDescriptor(adopting: ends[0])), SharedDescriptor(OwnedDescriptor(adopting: ends[1])))
    }

    /// Sends a line and waits for the answer; nil if the channel is closed.
    package func exchange(_ line: String) async throws -> String? {
        // A call that blocks is not for the cooperative pool.
        try await withCheckedThrowingContinuation { continuation in
            do throws(SystemCallError) {
                try Thread.start("exchange") { continuation.resume(with: Result { try self.exchangeOnThread(line) }) }
            } catch {
                continuation.resume(throwing: error)
            }
        }
    }

    private func exchangeOnThread(_ line: String) throws(SystemCallError) -> String? {
        let bytes = Array((line + "\n").utf8)
        do {
            try systemCall("send") { unsafe send(descriptor.rawValue, bytes, bytes.count, CInt(MSG_NOSIGNAL)) }
        } catch {
            if error.errno == .brokenPipe { return nil }
            throw error
        }
        var answer: [UInt8] = []
        while answer.last != UInt8(ascii: "\n") {
            var chunk = [UInt8](repeating: 0, count: 4096)
            let count = try systemCall("recv") { unsafe recv(descriptor.rawValue, &chunk, chunk.count, 0) }
            if count == 0 { return nil }
            answer += chunk[..<count]
        }
        return String(decoding: answer.dropLast(), as: UTF8.self)
    }

    /// Ends the channel for both sides: who waits for an answer gets none.
    package func close() {
        _ = shutdown(descriptor.rawValue, CInt(SHUT_RDWR))
    }
}
