internal import Linux
package import MeshSandbox
internal import Synchronization

extension MeshSandbox {
    /// Opens a TCP connection as `whoAnswers` does, and leaves it open.
    ///
    /// - Parameter port: to connect from; any if nil.
    /// - Throws: `SystemCallError` if it is refused.
    package func connect(_ direction: Direction, _ family: Family, from port: Int? = nil) async throws -> Connection {
        let probe = try Probe(self, direction, family, port: port)
        return try await Threads.run {
            let socket = try probe.connect()
            let greeting = Answer(line: try socket.readLine())
            return Connection(socket, greeting: greeting)
        }
    }

    /// An established connection between the pod and its peer.
    package final class Connection: Sendable {
        /// Who answered when it was opened.
        package let greeting: Answer
        /// Guards: one question at a time, none after `close`.
        private let socket: Mutex<BlockingSocket?>

        init(_ socket: consuming BlockingSocket, greeting: Answer) {
            self.greeting = greeting
            self.socket = Mutex(socket)
        }

        /// Asks the other end again who it is: what is established stays with whom it was established.
        package func ask() async throws -> Answer {
            try await Threads.run { [self] in
                socket.withLock { socket in
                    do {
                        guard let line = try socket?.exchange("?") else { return .unanswered("closed by the probe") }
                        return Answer(line: line)
                    } catch {
                        return .unanswered("\(error)")
                    }
                }
            }
        }

        /// Resets the connection; it ends with the object otherwise.
        package func close() {
            socket.withLock { $0 = nil }
        }
    }
}
