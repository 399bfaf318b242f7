internal import Linux
internal import Synchronization

/// Lets one record of a kind through each second, so that no client can flood the journal: the first of a burst at once, and
/// a second later the last one, with the number of those that came meanwhile.
final class BurstLimiter<Kind: Hashable & Sendable, Record: Sendable>: Sendable {
    private struct Held {
        /// Of those that came since a record was let through.
        var last: Record
        var count = 0
    }

    private let queue: WorkQueue
    private let write: @Sendable (Record, _ times: Int?) -> Void
    /// The kinds of which a record was let through within the last second.
    private let held = Mutex<[Kind: Held]>([:])

    /// - Parameters:
    ///   - queue: where the seconds end.
    ///   - write: lets a record through, with the number of records that it stands for if that is not one.
    init(queue: WorkQueue, _ write: @escaping @Sendable (Record, _ times: Int?) -> Void) {
        self.queue = queue
        self.write = write
    }

    func add(_ record: Record, of kind: Kind) {
        let isFirst = held.withLock { held in
            if held[kind] != nil {
                held[kind]?.last = record
                held[kind]?.count += 1
                return false
            }
            held[kind] = Held(last: record)
            return true
        }
        guard isFirst else { return }
        write(record, nil)
        schedule(kind)
    }

    private func schedule(_ kind: Kind) {
        queue.add(at: .now + .seconds(1)) { self.letThrough(kind) }
    }

    /// A second is over: lets through what came in it, and begins the next one; or forgets the kind.
    private func letThrough(_ kind: Kind) {
        let due = held.withLock { held -> Held? in
            guard let due = held[kind], due.count > 0 else {
                held[kind] = nil
                return nil
            }
            held[kind]?.count = 0
            return due
        }
        guard let due else { return }
        write(due.last, due.count)
        schedule(kind)
    }

    /// Lets through what waits for its second to end: at the end of the daemon.
    func finish() {
        let due = held.withLock { held in
            defer { held = [:] }
            return held.values.filter { $0.count > 0 }
        }
        for held in due { write(held.last, held.count) }
    }
}
