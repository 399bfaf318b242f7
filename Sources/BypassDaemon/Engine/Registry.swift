internal import Linux
internal import Synchronization

/// The records of all bypasses, in memory and in the state folder.
///
/// The file is a journal: a line is appended for each change, in one write, and read back at the next start. It is named
/// after the boot, since neither inode numbers nor the kernel's rules outlive it.
final class Registry: Sendable {
    private struct State: ~Copyable {
        var records: [UInt64: Record]
        var journal: RecordJournal
        /// Whose records are not as the journal has them: the disk was full.
        var unwritten: Set<UInt64> = []
        var generations: Generations
    }

    private let state: Mutex<State>

    /// Reads what an earlier daemon left. Throws if the folder cannot be made or written, or its records not be read.
    init(folder: String) throws(SystemCallError) {
        var journal = try RecordJournal(folder: folder)
        let records = try journal.contents()
        // On a full disk the old journal stays, and says the same in more lines.
        try? journal.rewrite(records)
        let generations = Generations(now: Self.now, known: records.values.compactMap(\.generation))
        state = Mutex(State(records: records, journal: journal, generations: generations))
    }

    var count: Int { state.withLock { $0.records.count } }

    /// By inode.
    var all: [(inode: UInt64, record: Record)] {
        state.withLock { state in state.records.map { (inode: $0.key, record: $0.value) } }
            .sorted { $0.inode < $1.inode }
    }

    subscript(inode: UInt64) -> Record? { state.withLock { $0.records[inode] } }

    /// The generation of a namespace, bypassed or not.
    func generation(of inode: UInt64, cookie: UInt64?) -> Int {
        state.withLock { state in
            state.records[inode]?.generation ?? state.generations.ofUnbypassed(inode, cookie: cookie)
        }
    }

    /// For the next decision.
    func nextGeneration() -> Int { state.withLock { $0.generations.next(now: Self.now) } }

    /// Keeps a record. Throws if it is kept in memory only.
    func set(_ record: Record, of inode: UInt64) throws(SystemCallError) {
        try state.withLock { state throws(SystemCallError) in
            let isKnown = state.records.updateValue(record, forKey: inode) == record
            if isKnown && !state.unwritten.contains(inode) { return }
            try Self.note(inode, record, in: &state)
        }
    }

    /// Drops a record. If that cannot be written, the record is looked at again, and dropped, at the next start.
    func remove(_ inode: UInt64) {
        state.withLock { state in
            if state.records.removeValue(forKey: inode) != nil { try? Self.note(inode, nil, in: &state) }
        }
    }

    /// Drops the record of a bypass that has ended in a namespace that is still there.
    func end(_ inode: UInt64, cookie: UInt64?) {
        remove(inode)
        state.withLock { $0.generations.noteEnd(inode, cookie: cookie, now: Self.now) }
    }

    /// Milliseconds since 1970.
    private static var now: Int { Int(WallClock.now / 1_000_000) }

    private static func note(
        _ inode: UInt64, _ record: Record?, in state: inout State
    ) throws(SystemCallError) {
        state.unwritten.insert(inode)
        if state.journal.isWorthRewriting(state.records.count) {
            try state.journal.rewrite(state.records)
            state.unwritten = []
        } else {
            try state.journal.append(.init(inode: inode, record: record))
            state.unwritten.remove(inode)
        }
    }
}
