internal import Bypass
internal import BypassAPI
internal import Datapath
internal import JSONRPC
internal import Logging

/// The result for the rules of other programs that an `off` was to remove.
struct ForeignRemoval {
    var removed: [ForeignBypass] = []
    var warnings: [Bypass.Warning] = []
}

extension BypassManager {
    /// Removes the rules of other programs that keep redirects from taking effect. What the kernel refuses is reported: the
    /// bypass has ended all the same.
    ///
    /// - Parameter ending: of the bypass; gets what is observed afterwards.
    func removeForeignBypasses(
        _ netns: String, _ ending: inout Reconciler.Ending, in session: inout NamespaceSession
    ) -> ForeignRemoval {
        do throws(BypassError) {
            let removal = try Reconciler.removeForeignBypasses(in: &session)
            ending.after = removal.after
            if removal.removed.isEmpty { return ForeignRemoval() }
            ending.changed = true
            logger.notice(
                "rules of another program removed",
                metadata: [
                    "netns": "\(netns)", "inode": "\(session.inode)",
                    "rules": "\(removal.removed.map(\.description).joined(separator: ", "))",
                ])
            return ForeignRemoval(removed: removal.removed)
        } catch {
            metrics.countError(error)
            return ForeignRemoval(warnings: [.foreignNotRemoved(ErrorObject(error).message)])
        }
    }
}
