internal import Linux

/// What the answers take, over all connections, that clients do not read. A list can be large, and many clients can ask for
/// one and not read it.
///
/// While they take too much, a client that has not read anything for a second is cut off, and no list is begun.
final class UnreadAnswers: Sendable {
    private let bytes = Monitor(0)

    static let maxBytes = 16 << 20
    /// How long a client may read nothing while others' answers are too many.
    private static let patience = Interval.seconds(1)

    /// Waits until there is room for a large answer; not for long, since those that are in the way are cut off.
    func waitForRoom() {
        _ = bytes.wait(until: .now + .seconds(2)) { $0 <= Self.maxBytes ? () : nil }
    }

    /// What one connection's answer takes. Belongs to the connection's thread.
    struct Share {
        private let all: UnreadAnswers
        private var bytes = 0
        private var unreadSince = Instant.now

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

        private var end: Instant { unreadSince + UnreadAnswers.patience }

        /// Whether the client has to read faster than it does.
        var isToBeCutOff: Bool {
            bytes > 0 && .now >= end && all.bytes.withLock { $0 > UnreadAnswers.maxBytes }
        }

        /// When to look at that again.
        func nextLook(before deadline: Instant?) -> Instant? {
            if bytes == 0 { return deadline }
            let next = max(end, .now + UnreadAnswers.patience)
            return deadline.map { min($0, next) } ?? next
        }
    }
}
