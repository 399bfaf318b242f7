internal import Linux

/// The bytes of answers, over all connections, that clients have not read. A list can be large, and many clients can
/// request one without reading it.
///
/// Above the limit, a client that has read nothing for a second is disconnected, and a new list waits.
final class UnreadAnswers: Sendable {
    private let bytes = Monitor(0)

    static let maxBytes = 16 << 20
    /// The time in which a client may read nothing while the limit is exceeded.
    private static let maxStall = Interval.seconds(1)

    /// Waits until there is room for a large answer, two seconds at most: stalled clients are disconnected by then.
    func waitForRoom() {
        _ = bytes.wait(until: .now + .seconds(2)) { $0 <= Self.maxBytes ? () : nil }
    }

    /// The unread bytes of one connection. Belongs to the connection's thread.
    struct Share {
        private let all: UnreadAnswers
        private var bytes = 0
        /// While there are any.
        private var unreadSince = Instant(nanoseconds: 0)

        init(of all: UnreadAnswers) {
            self.all = all
        }

        /// - Parameter count: what the client has not read of the answer.
        mutating func update(to count: Int) {
            if count == bytes { return }
            let change = count - bytes
            (bytes, unreadSince) = (count, .now)
            all.bytes.update { $0 += change }
        }

        private var end: Instant { unreadSince + UnreadAnswers.maxStall }

        /// Whether the client has to read faster than it does.
        var isToBeCutOff: Bool {
            bytes > 0 && .now >= end && all.bytes.withLock { $0 > UnreadAnswers.maxBytes }
        }

        /// When to look at that again.
        func nextLook(before deadline: Instant?) -> Instant? {
            if bytes == 0 { return deadline }
            let next = max(end, .now + UnreadAnswers.maxStall)
            return deadline.map { min($0, next) } ?? next
        }
    }
}
