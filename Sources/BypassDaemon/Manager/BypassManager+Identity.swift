internal import Bypass
internal import BypassAPI
internal import Datapath
internal import Linux

/// Which namespace a record is about: an inode number is given again when its namespace is gone.
extension BypassManager {
    /// A namespace was not found: it is gone, and all that was in it. Unless its number is another's by now, which may have
    /// a bypass of its own: that is decided in its turn, when no other call works on that number.
    func handleRemoved(
        _ inode: UInt64, _ record: BypassRecord, as principal: FairScheduler.Principal, _ after: inout AfterAnswer
    ) {
        let place = executor.gate.enter(principal)
        defer { executor.gate.leave(place) }
        executor.gate.claim(inode, for: place)
        if store[inode] == record { endWithNamespace(inode, record, &after) }
    }

    /// An inode number may be used again when its namespace is gone: what was known of that one is not about this one.
    func dropStaleRecord(_ session: borrowing NamespaceSession, _ after: inout AfterAnswer) {
        guard let record = store[session.inode], let old = record.cookie, let new = session.cookie, old != new else {
            return
        }
        endWithNamespace(session.inode, record, &after)
    }

    func endWithNamespace(_ inode: UInt64, _ record: BypassRecord, _ after: inout AfterAnswer) {
        var status = BypassStatus(
            netns: record.netns, inode: inode, state: .off, effective: false, effect: .ineffective)
        transition.end(
            .gone, inode, record, cookie: nil, status: &status, audit: AuditRecord(.gone, record, inode), &after)
    }

    /// Gives a record that was made without one, of an entry of the matcher's, the number of its namespace, once there is
    /// something of ours in that.
    func identify(_ record: inout BypassRecord, in session: borrowing NamespaceSession) {
        if record.cookie == session.cookie { return }
        record.cookie = session.cookie
        transition.record(record, of: session.inode)
    }
}

extension NamespaceSession {
    /// Whether this is another namespace than the one that was bypassed, which had its inode number. From Linux 5.14 on a
    /// namespace has a number of its own. Before, and where no record has it, one in which nothing is ours is taken for
    /// another: to take a flushed one for that ends a bypass, and to take another for a flushed one would begin one without
    /// a request.
    borrowing func isOtherNamespace(than record: BypassRecord, by observation: Observation) -> Bool {
        (record.cookie == nil || cookie == nil) && observation.holdsNothingOfOurs
    }
}
