internal import NIOCore
internal import Synchronization

/// What one connection has subscribed to: a place in the log, from which it is told what comes after. Lives on the
/// connection's loop.
final class Subscription {
    /// Called on the loop when there may be something to tell.
    var wake: () -> Void = {}
    private var place: (log: EventLog, sequence: Int)?

    var isActive: Bool { place != nil }

    /// Whether it has missed something.
    var isBehind: Bool {
        place.map { !$0.log.reachesBack(to: $0.sequence) } ?? false
    }

    /// Events after that one are told from now on.
    ///
    /// - Parameter loop: the connection's, on which this is called.
    func begin(_ log: EventLog, after sequence: Int, on loop: any EventLoop) {
        end()
        place = (log, sequence)
        let bound = NIOLoopBound(self, eventLoop: loop)
        // However many events there are, one wake-up at a time is on its way.
        let isComing = Flag()
        log.add(ObjectIdentifier(self)) {
            guard isComing.set() else { return }
            loop.execute {
                isComing.clear()
                bound.value.wake()
            }
        }
    }

    /// What is to be told next; nil if nothing has happened since.
    func next() -> EventLog.Next? {
        guard let (log, sequence) = place, let next = log.next(after: sequence) else { return nil }
        if case .line = next { place = (log, sequence + 1) }
        return next
    }

    func end() {
        place?.log.remove(ObjectIdentifier(self))
        place = nil
    }

    private final class Flag: Sendable {
        private let isSet = Atomic(false)

        /// - Returns: whether it was not.
        func set() -> Bool { !isSet.exchange(true, ordering: .acquiringAndReleasing) }

        func clear() { isSet.store(false, ordering: .releasing) }
    }
}
