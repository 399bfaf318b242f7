internal import Bypass
internal import BypassAPI
internal import BypassKernel
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

    /// nil if the namespace has gone, or cannot be looked at.
    private func look(_ inode: UInt64, _ record: Record, on loop: any EventLoop) -> EventLoopFuture<BypassStatus?> {
        withSession(.telling, in: .bypassed(inode, record), on: loop) { session throws(BypassError) -> BypassStatus? in
            self.status(of: try Reconciler.observe(&session), record.netns, in: &session, countingConnections: false)
        }.recover { error in
            if case BypassError.netnsNotFound = error {
                self.noteGone(inode, record)
            } else {
                // One namespace that cannot be looked at does not hide the others.
                self.logger.warning(
                    "a namespace is missing from a list", metadata: ["netns": "\(record.netns)", "error": "\(error)"])
            }
            return nil
        }
    }
}
