public import BypassAPI
private import Retry
internal import StrictJSON

/// Every change of every bypass on the node, without end.
///
/// The first element is a ``Element/snapshot(_:)`` of all bypasses; then come changes, each once and in order. When the
/// connection or the daemon ends, a ``Element/disconnected(_:)`` follows, and the watch connects again: it resumes after the
/// last change if the daemon still has the changes in between, and else starts again with a snapshot. A program that
/// replaces its set by each snapshot, and applies each change to it, always has the daemon's set.
///
/// The daemon disconnects a watch that falls too far behind; a new snapshot follows.
public struct BypassWatch: AsyncSequence, Sendable {
    public enum Element: Hashable, Sendable {
        /// All bypasses, by inode, or as many as fit into an answer (``ListMethod/Result/isComplete``); they replace
        /// everything before.
        case snapshot(ListMethod.Result)
        /// One bypass has changed.
        case change(BypassEvent.Name, BypassEvent)
        /// The connection was lost: changes from here to the next element are unknown.
        case disconnected(BypassClientError)
        /// Connected again, and nothing was missed: the changes of the meantime follow.
        case resumed
    }

    private let path: String

    /// - Parameter path: The path of the daemon's socket.
    public init(_ path: String = Product.socketPath) {
        self.path = path
    }

    public func makeAsyncIterator() -> Iterator { Iterator(path: path) }

    public struct Iterator: AsyncIteratorProtocol {
        private let path: String
        private var client: BypassClient?
        /// The last event received.
        private var lastEvent: (stream: String, sequence: Int)?
        private var backoff = ExponentialBackoff(firstDelay: .milliseconds(100), longestDelay: .seconds(10))
        /// Before it connects again.
        private var pause: Duration?

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
                    pause = backoff.next()
                    if error == .cancelled { return nil }
                    return .disconnected(error)
                }
            }
            return nil
        }

        /// - Returns: nil if the earlier subscription is resumed.
        private mutating func subscribe() async throws(BypassClientError) -> ListMethod.Result? {
            if let pause {
                do {
                    try await Task.sleep(for: pause)
                } catch {
                    throw .cancelled
                }
            }
            let client = try await BypassClient.connect(to: path)
            let answer = try await client.call(
                SubscribeMethod.self, with: .init(stream: lastEvent?.stream, sequence: lastEvent?.sequence))
            self.client = client
            lastEvent = (answer.stream, answer.sequence)
            pause = nil
            backoff.reset()
            return answer.bypasses.map { ListMethod.Result(bypasses: $0, warnings: answer.warnings ?? []) }
        }

        private mutating func change(_ notification: Notification) throws(BypassClientError) -> Element {
            guard let name = BypassEvent.Name(rawValue: notification.method) else {
                lastEvent = nil
                throw .unknownNotification(notification.method)
            }
            let event: BypassEvent
            do {
                event = try JSONDecoding.decode(from: notification.params, unknownMembers: .ignore)
            } catch {
                lastEvent = nil
                throw .invalidAnswer("event \(name.rawValue): \(error)")
            }
            guard let last = lastEvent, event.sequence == last.sequence + 1 else {
                // An event is missing: start again.
                lastEvent = nil
                throw .invalidAnswer("event \(event.sequence) does not follow the one before")
            }
            lastEvent?.sequence = event.sequence
            return .change(name, event)
        }
    }
}
