internal import NIOCore
internal import Synchronization

/// What is known of one connection by those who have to choose between connections.
final class Seat: Sendable {
    let user: UInt32
    /// When the last request was answered, in the event loops' nanoseconds; the end of time while one is under way.
    private let lastAnswer: Atomic<UInt64>

    init(user: UInt32, at now: NIODeadline) {
        self.user = user
        lastAnswer = Atomic(now.uptimeNanoseconds)
    }

    /// Since when nothing has been under way. Between the loops it is a hint: whoever acts on it asks on the
    /// connection's own loop again.
    var idleSince: NIODeadline { .uptimeNanoseconds(lastAnswer.load(ordering: .relaxed)) }

    var isBusy: Bool { idleSince == .distantFuture }

    func begin() {
        lastAnswer.store(NIODeadline.distantFuture.uptimeNanoseconds, ordering: .relaxed)
    }

    func end(at now: NIODeadline) {
        lastAnswer.store(now.uptimeNanoseconds, ordering: .relaxed)
    }
}
