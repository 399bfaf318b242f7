internal import Linux

/// Writes at most one record of a kind a second, so that no client can flood the journal: the first of a burst at once,
/// and a second later the last one, with a count.
final class BurstLimiter<Kind: Hashable & Sendable, Record: Sendable>: Sendable {
    private struct Held {
        /// The last record since one was written.
        var last: Record
        var count = 0

        var times: Int? { count == 1 ? nil : count }
    }

    private let queue: WorkQueue
    private let write: @Sendable (Record, _ times: Int?) -> Void
    /// The kinds with a record that was written within the last second.
    private let held = Monitor<[Kind: Held]>([:])

    /// - Parameters:
    ///   - queue: where delayed records are written.
    ///   - write: writes a record, with the number of records that it stands for; nil for one.
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
        queue.add(at: .now + .seconds(1)) { self.writeLast(of: kind) }
    }

    /// A second after the last record: writes the latest one, if there is any, and waits again; or forgets the kind.
    private func writeLast(of kind: Kind) {
        let due = held.withLock { held -> Held? in
            guard let due = held[kind], due.count > 0 else {
                held[kind] = nil
                return nil
            }
            held[kind]?.count = 0
            return due
        }
        guard let due else { return }
        write(due.last, due.times)
        schedule(kind)
    }

    /// Writes the delayed records. To be called when the daemon stops.
    func finish() {
        let due = held.withLock { held in
            defer { held = [:] }
            return held.values.filter { $0.count > 0 }
        }
        for held in due { write(held.last, held.times) }
    }
}
