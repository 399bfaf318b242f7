internal import Bypass
internal import BypassAPI
internal import Datapath
internal import JSONRPC
internal import Logging
internal import NIOCore

extension Engine {
    /// `list`: the status of every bypassed namespace, looked at now.
    func list(on loop: any EventLoop) -> EventLoopFuture<ListMethod.Result> {
        let looks = registry.all.map { inode, record in look(inode, record, on: loop) }
        return EventLoopFuture.whenAllSucceed(looks, on: loop).map { found in
            ListMethod.Result(
                bypasses: found.compactMap(\.self).filter { $0.state != .off }.sorted { $0.inode < $1.inode })
        }
    }

    /// What was known last of a bypass that cannot be looked at now.
    func remembered(_ inode: UInt64, _ record: Record, since reason: String) -> BypassStatus {
        var status =
            events[inode]
            ?? BypassStatus(netns: record.netns, inode: inode, state: .degraded, effective: false, owner: record.owner)
        status.state = .degraded
        let warning = Warning.unseen(reason)
        status.warnings = [.init(code: warning.code, message: warning.message)]
        return status
    }

    /// nil if the namespace has gone.
    private func look(_ inode: UInt64, _ record: Record, on loop: any EventLoop) -> EventLoopFuture<BypassStatus?> {
        withSession(.full, in: .bypassed(inode, record), on: loop) { session throws(BypassError) -> BypassStatus? in
            self.status(of: try Reconciler.observe(&session), record.netns, in: &session, countingConnections: false)
        }.flatMapErrorWithEventLoop { error, loop in
            if case BypassError.netnsNotFound = error {
                return self.noteGone(inode, record).hop(to: loop).map { nil }
            }
            // One namespace that cannot be looked at does not hide the others, nor is it hidden.
            let remembered = self.remembered(inode, record, since: ErrorObject(error).message)
            return loop.makeSucceededFuture(remembered)
        }
    }
}
