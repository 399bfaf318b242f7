public import BypassAPI
internal import JSONRPC

/// Every change of every bypass on the node, for as long as somebody asks for the next one.
///
/// The first element is what is bypassed; then come changes, each once and in order. When the connection ends, or the
/// daemon does, that is told, and the next element is waited for on a new connection: from where the old one ended if the
/// daemon remembers that, or else with what is bypassed then. So whoever takes a `snapshot` for the whole set, and applies
/// the changes to it, has the same set as the daemon.
///
/// Who is slow is not sent for without end: the daemon cuts off who is too far behind, and a new `snapshot` follows.
public struct BypassWatch: AsyncSequence, Sendable {
    public enum Element: Hashable, Sendable {
        /// All that is bypassed, by inode; whatever was known before is over.
        case snapshot([BypassStatus])
        case change(BypassEvent.Name, BypassStatus)
        /// Nothing is known of what happens from here to the next element.
        case disconnected(BypassClientError)
        /// There is a connection again, and nothing was missed: what happened meanwhile follows as changes.
        case resumed
    }

    private let path: String

    /// - Parameter path: where the daemon listens.
    public init(_ path: String = Product.socketPath) {
        self.path = path
    }

    public func makeAsyncIterator() -> Iterator { Iterator(path: path) }

    public struct Iterator: AsyncIteratorProtocol {
        private let path: String
        private var client: BypassClient?
        /// The last event that was seen.
        private var place: (stream: String, sequence: Int)?
        /// Connections in a row that came to nothing.
        private var failures = 0

        fileprivate init(path: String) {
            self.path = path
        }

        /// nil once the task is cancelled.
        public mutating func next() async -> Element? {
            while !Task.isCancelled {
                do throws(BypassClientError) {
                    guard let client else { return try await subscribe().map { .snapshot($0) } ?? .resumed }
                    return try await change(client.nextNotification())
                } catch {
                    client = nil
                    failures += 1
                    if error == .cancelled { return nil }
                    return .disconnected(error)
                }
            }
            return nil
        }

        /// - Returns: nil if the earlier subscription goes on.
        private mutating func subscribe() async throws(BypassClientError) -> [BypassStatus]? {
            if failures > 0 {
                do {
                    try await Task.sleep(for: Self.pause(after: failures))
                } catch {
                    throw .cancelled
                }
            }
            let client = try await BypassClient.connect(to: path)
            let answer = try await client.call(
                SubscribeMethod.self, with: .init(stream: place?.stream, sequence: place?.sequence))
            self.client = client
            place = (answer.stream, answer.sequence)
            failures = 0
            return answer.bypasses
        }

        private mutating func change(_ notification: Notification) throws(BypassClientError) -> Element {
            guard let name = BypassEvent.Name(rawValue: notification.method) else {
                place = nil
                throw .invalidAnswer("there is no event \(String(reflecting: notification.method))")
            }
            let event: BypassEvent
            do {
                event = try JSONDecoding.decode(from: notification.params, unknownMembers: .ignore)
            } catch {
                place = nil
                throw .invalidAnswer("event \(name.rawValue): \(error)")
            }
            guard let last = place, event.sequence == last.sequence + 1 else {
                // Something is missing: begin anew.
                place = nil
                throw .invalidAnswer("event \(event.sequence) does not follow the one before")
            }
            place?.sequence = event.sequence
            return .change(name, event.bypass)
        }

        /// Doubles from a tenth of a second to ten; somewhere in the second half of that, so that many who lost the same
        /// daemon do not come back at the same moment.
        static func pause(after failures: Int) -> Duration {
            let longest = Swift.min(100 << Swift.min(failures - 1, 7), 10_000)
            return .milliseconds(Int.random(in: longest / 2...longest))
        }
    }
}
