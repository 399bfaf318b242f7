internal import Bypass
internal import BypassAPI
internal import Datapath
internal import JSONRPC
internal import Linux
internal import Logging

/// Takes over what an earlier daemon left: the kernel's entries say what is on, the records who wanted it.
final class Recovery: Sendable {
    private let manager: BypassManager
    private let queue: WorkQueue
    private let isDone = Monitor(false)

    private var store: BypassStore { manager.store }
    private var matcher: Matcher { manager.matcher }
    private var logger: Logger { manager.logger }

    /// - Parameter queue: where namespaces are read.
    init(_ manager: BypassManager, queue: WorkQueue) {
        self.manager = manager
        self.queue = queue
    }

    /// What can be known at once is known when this returns; every namespace is then read side by side with the calls of
    /// clients. ``waitUntilDone()`` says when that is over.
    func start() {
        if matcher.isMapNew { restoreEntries() }
        do throws(SystemCallError) {
            for inode in try matcher.inodes() where store[inode] == nil { recoverUnrecorded(inode) }
        } catch {
            logger.error("cannot list the matcher's map", metadata: ["error": "\(error)"])
        }
        for (inode, _) in store.all {
            do throws(SystemCallError) {
                if let entry = try matcher.entry(of: inode) {
                    manager.transition.timers.set(inode, to: entry.deadline)
                } else {
                    // An `off` came as far as that.
                    store.remove(inode)
                    store.flush(inode)
                }
            } catch {
                // It is read with the others.
                logger.error("an entry cannot be read", metadata: ["inode": "\(inode)", "error": "\(error)"])
            }
        }
        let all = store.all
        let left = Monitor(all.count)
        if all.isEmpty { finish() }
        for (inode, record) in all {
            queue.add {
                self.manager.reconcile(inode, record, isFirst: true)
                if left.update({
                    $0 -= 1
                    return $0 == 0
                }) {
                    self.finish()
                }
            }
        }
    }

    /// Also at the daemon's end: the rest is not read then.
    func markRecovered() { isDone.update { $0 = true } }

    func waitUntilDone() { isDone.wait { $0 ? () : nil } }

    private func finish() {
        markRecovered()
        queue.add { self.removeOrphans() }
    }

    /// The map was lost, and with it what is on. Rules may still stand, and ask a map that is out of reach; the
    /// records say what is wanted. The entries come first, so that a rule that is made again matches from the beginning.
    private func restoreEntries() {
        for (inode, record) in store.all {
            guard let direction = record.direction, let deadline = record.deadline else { continue }
            let entry = MapEntry(deadline: deadline, hooks: direction.hooks, isCurrent: false)
            do throws(SystemCallError) {
                try matcher.set(entry, of: inode)
            } catch {
                logger.error("a bypass is lost", metadata: ["netns": "\(record.netns)", "error": "\(error)"])
            }
        }
    }

    /// A bypass of which no record is left, or that was interrupted before it had one.
    private func recoverUnrecorded(_ inode: UInt64) {
        var record = BypassRecord(
            netns: "namespace \(inode)", path: "", since: .now, generation: store.nextGeneration())
        do throws(SystemCallError) {
            guard let path = try NamespaceReference.find(inode: inode) else {
                // Nothing has that namespace any more, so nothing of ours is left in it.
                try? matcher.remove(inode)
                return
            }
            (record.netns, record.path) = (path, path)
        } catch {
            logger.warning(
                "a bypassed namespace cannot be searched for yet", metadata: ["inode": "\(inode)", "error": "\(error)"])
        }
        manager.transition.record(record, of: inode)
    }

    // MARK: orphans

    /// Removes rules that no entry goes with, wherever a namespace can be seen: of a daemon whose map and records are both
    /// lost.
    private func removeOrphans() {
        let found: [UInt64: String]
        do throws(SystemCallError) {
            found = try NamespaceReference.visible().filter { store[$0.key] == nil }
        } catch {
            return logger.warning("cannot search for orphaned rules", metadata: ["error": "\(error)"])
        }
        for (inode, path) in found { removeOrphans(inode, path) }
        logger.debug("searched for orphaned rules")
    }

    private func removeOrphans(_ inode: UInt64, _ path: String) {
        do throws(BypassError) {
            let record = BypassRecord(netns: path, path: path, since: .now)
            let turn = try manager.executor.turn(in: .known(inode, record), as: .maintenance)
            defer { turn.end() }
            var session = try turn.enter(.ownRules)
            let observation = try Reconciler.observe(&session)
            if store[inode] != nil || !observation.holdsLeftovers { return }
            guard try manager.end(path, in: &session).leftovers.isEmpty else { return }
            logger.notice(
                "orphaned rules removed",
                metadata: [
                    "netns": "\(path)", "inode": "\(inode)",
                    "chains": "\(observation.ownChains.joined(separator: ", "))",
                ])
        } catch {
            if case .netnsNotFound = error { return }
            manager.metrics.countError(error)
            logger.warning(
                "cannot search a namespace for orphaned rules",
                metadata: ["netns": "\(path)", "error": "\(ErrorObject(error).message)"])
        }
    }
}
