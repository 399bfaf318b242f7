internal import Bypass
internal import BypassAPI
internal import Linux
internal import StrictJSON
internal import Synchronization

/// What is wanted of a namespace, by whom, and why. It is written before the kernel is asked for it, so that it is known
/// whatever happens to the daemon.
struct BypassRecord: Codable, Hashable, Sendable {
    /// The name that was given for the namespace.
    var netns: String
    /// The path that the name led to: found again without a walk through control groups.
    var path: String
    /// The namespace's own number, which no other has had since boot: an inode number is given again. nil before Linux
    /// 5.14, and for a bypass that was found without a record.
    var cookie: UInt64?
    var since: Timestamp
    /// nil for a bypass that was found without a record, as `deadline`: the matcher's map knows.
    var direction: Direction?
    /// The scope, with a direction.
    var only: ConnectionSet?
    var except: ConnectionSet?
    var cgroup: UInt64?
    /// The connections that the bypass leaves to other programs' rules, since the mesh would not take them; only without `except`.
    var exempted: ConnectionSet?
    /// CLOCK_BOOTTIME in nanoseconds; 0 for a bypass that does not expire.
    var deadline: UInt64?
    /// nil in a record of a version without generations.
    var generation: Int?
    var owner: String?
    var reason: String?
    var setBy: BypassStatus.Peer?

    /// The conditions that a record may name in `needs`: a version that does not know one drops the record.
    static let knownConditions = ["cgroup"]

    /// Whether another record asks for the same, by whatever name and caller.
    func desiresTheSame(as other: BypassRecord) -> Bool {
        (direction, scope, deadline, owner, reason)
            == (other.direction, other.scope, other.deadline, other.owner, other.reason)
    }

    /// nil for a bypass that was found without a record. A record of a version without scopes is for every connection.
    var scope: Scope? { direction.map { _ in Scope(only: only, except: except, cgroup: cgroup) } }

    /// The same without what is left to other programs' rules: what the matcher's map holds.
    var matchedScope: Scope? { direction.map { _ in Scope(only: only, except: except ?? exempted, cgroup: cgroup) } }

    /// The requested state, as the matcher's map holds it.
    func requested(_ scope: Scope) -> Scope {
        Scope(
            only: scope.only, except: scope.except == exempted ? except : scope.except, cgroup: scope.cgroup)
    }

    /// The kernel's part of it. One that was found without a record is reconciled by what the map holds instead.
    var desiredState: DesiredState {
        .on((direction ?? .both).hooks, scope: matchedScope ?? .all, deadline: deadline ?? 0)
    }

    /// The actions that make it so.
    func reconcileDecision(given observation: Observation) -> ReconcileDecision {
        ReconcileDecision(hooks: direction?.hooks, scope: matchedScope, deadline: deadline, given: observation)
    }

    /// Whether it has ended, whatever its namespace holds.
    func isOver(entry: MapEntry?, at now: UInt64) -> Bool {
        ReconcileDecision.isOver(hooks: direction?.hooks, deadline: deadline, entry: entry, at: now)
    }
}

extension BypassRecord: JSONWritableObject {
    func writeMembers(to text: inout JSONText) {
        text.member("netns", netns)
        text.member("path", path)
        text.member("cookie", cookie)
        text.member("since", since)
        text.member("direction", direction?.rawValue)
        text.member("only", only)
        text.member("except", except)
        text.member("exempted", exempted)
        if let cgroup {
            text.member("cgroup", cgroup)
            text.member("needs", ["cgroup"])
        }
        text.member("deadline", deadline)
        text.member("generation", generation)
        text.member("owner", owner)
        text.member("reason", reason)
        text.member("setBy", setBy)
    }
}

/// The records of all bypasses, in memory and in the state folder.
///
/// The file is a log: a line is appended for each change, in one write, and read back at the next start. It is named
/// after the boot, since neither inode numbers nor the kernel's rules outlive it.
final class BypassStore: Sendable {
    private struct State: ~Copyable {
        var records: [UInt64: BypassRecord]
        var expired: ExpiredBypasses
        var log: RecordLog
        /// Whose records are not as the log has them: the disk was full, or the end of a bypass is not written yet.
        var unwritten: Set<UInt64> = []
        /// The reason that the last write has failed.
        var writeError: SystemCallError?
        var generations: Generations
    }

    private let state: Monitor<State>
    /// Of the records: read with every `info`, by many threads.
    private let recordCount: Atomic<Int>

    /// The fault in the log at the start, for people; nil if there was none.
    let startFault: String?

    /// Reads an earlier daemon's records. If the log cannot be read or written, that is reported and the daemon starts:
    /// bypasses have to be ended, and the matcher's map says what is on.
    init(folder: String) throws(SystemCallError) {
        var log = try RecordLog(folder: folder)
        var (contents, faults) = (RecordLog.Contents(), [String]())
        do throws(SystemCallError) {
            contents = try Self.read(log)
            if contents.laterRecords > 0 {
                faults.append("\(contents.laterRecords) records have conditions that only a later version knows")
            }
            if contents.damagedLines > 0 { faults.append("\(contents.damagedLines) lines are not records") }
        } catch {
            faults.append("\(error)")
        }
        var writeError: SystemCallError?
        do throws(SystemCallError) {
            // An unread log is not overwritten before there is something to write.
            if faults.isEmpty || contents.damagedLines + contents.laterRecords > 0 { try log.rewrite(contents) }
        } catch {
            // On a full disk the old log stays, and says the same in more lines.
            try? log.open()
            writeError = error
            faults.append("\(error)")
        }
        startFault = faults.isEmpty ? nil : faults.joined(separator: "; ")
        let generations = Generations(now: Self.now, known: contents.records.values.compactMap(\.generation))
        recordCount = Atomic(contents.records.count)
        state = Monitor(
            State(
                records: contents.records, expired: contents.expired, log: log, writeError: writeError,
                generations: generations))
    }

    /// Tries three times, since a shortage may be temporary: starting without the records would lose them.
    private static func read(_ log: borrowing RecordLog) throws(SystemCallError) -> RecordLog.Contents {
        for _ in 1..<3 {
            if let contents = try? log.contents() { return contents }
        }
        return try log.contents()
    }

    var count: Int { recordCount.load(ordering: .relaxed) }

    /// By inode.
    var all: [(inode: UInt64, record: BypassRecord)] {
        state.withLock { state in state.records.map { (inode: $0.key, record: $0.value) } }
            .sorted { $0.inode < $1.inode }
    }

    subscript(inode: UInt64) -> BypassRecord? { state.withLock { $0.records[inode] } }

    /// The generation of a namespace, bypassed or not.
    func generation(of inode: UInt64, cookie: UInt64?) -> Int {
        state.withLock { state in
            state.records[inode]?.generation ?? state.generations.ofUnbypassed(inode, cookie: cookie)
        }
    }

    /// The last bypass of a namespace that is off, if it has expired.
    func expired(in inode: UInt64, cookie: UInt64?) -> ExpiredBypass? {
        state.withLock { state in
            // The matcher has ended it, and it is cleaned up soon.
            let over = state.records[inode].flatMap { ExpiredBypass($0, cookie: nil) }
            guard let expired = over ?? state.expired[inode], expired.cookie == cookie else { return nil }
            return expired
        }
    }

    /// For the next decision.
    func nextGeneration() -> Int { state.withLock { $0.generations.next(now: Self.now) } }

    /// Keeps a record. Throws if it is kept in memory only.
    func set(_ record: BypassRecord, of inode: UInt64) throws(SystemCallError) {
        try state.withLock { state throws(SystemCallError) in
            let isKnown = state.records.updateValue(record, forKey: inode) == record
            recordCount.store(state.records.count, ordering: .relaxed)
            if isKnown && !state.unwritten.contains(inode) { return }
            try Self.write(inode, in: &state)
        }
    }

    /// Drops a record that the kernel has refused: what was known of the namespace before it is still so.
    func withdraw(_ inode: UInt64) {
        state.withLock { state in
            drop(inode, from: &state)
            Self.flush(inode, in: &state)
        }
    }

    /// Forgets that an earlier bypass of the namespace has expired: there is another one.
    func forgetExpired(_ inode: UInt64) {
        state.withLock { state in
            guard state.expired[inode] != nil else { return }
            state.expired[inode] = nil
            try? Self.write(inode, in: &state)
        }
    }

    /// Drops a record, with its namespace. What is written of it goes with ``flush(_:)``: until then the next start finds
    /// that the matcher has no entry for it.
    func remove(_ inode: UInt64) {
        state.withLock { state in
            state.expired[inode] = nil
            drop(inode, from: &state)
        }
    }

    /// Drops the record of a bypass that has ended in a namespace that is still there. That it has expired is kept: a client
    /// that was away may ask for it as long as nothing else is decided about the namespace.
    ///
    /// - Returns: the namespace's generation from now on.
    func end(_ inode: UInt64, cookie: UInt64?) -> Int {
        state.withLock { state in
            let expired = state.records[inode].flatMap { ExpiredBypass($0, cookie: cookie) }
            // One whose record was written and that never began leaves what was known before.
            state.expired[inode] = expired ?? state.expired[inode]
            drop(inode, from: &state)
            return state.generations.recordEnd(inode, cookie: cookie, now: Self.now)
        }
    }

    private func drop(_ inode: UInt64, from state: inout State) {
        if state.records.removeValue(forKey: inode) != nil { state.unwritten.insert(inode) }
        recordCount.store(state.records.count, ordering: .relaxed)
    }

    /// Writes what the state folder does not know yet of a namespace. If that cannot be done, the next start drops the
    /// record, since the matcher has no entry for it.
    func flush(_ inode: UInt64) {
        state.withLock { Self.flush(inode, in: &$0) }
    }

    private static func flush(_ inode: UInt64, in state: inout State) {
        if state.unwritten.contains(inode) { try? write(inode, in: &state) }
    }

    /// The reason that a record is kept in memory only; nil if it is written.
    func writeError(of inode: UInt64) -> SystemCallError? {
        state.withLock { $0.unwritten.contains(inode) ? $0.writeError : nil }
    }

    /// Writes what is not written, and the log as a whole if it has gone, or its folder, or was moved. Throws if records are
    /// kept in memory only.
    ///
    /// - Returns: whether the log had gone.
    func ensureWritten() throws(SystemCallError) -> Bool {
        try state.withLock { state throws(SystemCallError) in
            let isInPlace = state.log.isInPlace
            if !isInPlace || !state.unwritten.isEmpty { try Self.rewrite(&state) }
            return !isInPlace
        }
    }

    /// Milliseconds since 1970.
    private static var now: Int { Int(WallClock.now / 1_000_000) }

    private static func write(_ inode: UInt64, in state: inout State) throws(SystemCallError) {
        state.unwritten.insert(inode)
        let lines = state.records.count + state.expired.count
        if state.log.isWorthRewriting(lines) || state.log.isRemoved { return try rewrite(&state) }
        do throws(SystemCallError) {
            try state.log.append(.init(inode: inode, record: state.records[inode], expired: state.expired[inode]))
            state.unwritten.remove(inode)
        } catch {
            state.writeError = error
            throw error
        }
    }

    private static func rewrite(_ state: inout State) throws(SystemCallError) {
        do throws(SystemCallError) {
            try state.log.rewrite(.init(records: state.records, expired: state.expired))
            (state.unwritten, state.writeError) = ([], nil)
        } catch {
            state.writeError = error
            if !state.log.isInPlace { state.unwritten.formUnion(state.records.keys) }
            throw error
        }
    }
}
