internal import Bypass
internal import BypassAPI
internal import Datapath
internal import JSONRPC
internal import Linux
internal import Logging

/// Takes over what an earlier daemon left: the kernel's entries say what is on, the records who wanted it.
///
/// Clients are answered meanwhile: a call for one namespace reads that namespace itself. Only `list` and `clear` wait
/// until every entry has a record, and `subscribe` until every bypass has been read.
final class Recovery: Sendable {
    private struct State {
        /// Whether every entry of the matcher's map has a record.
        var isComplete = false
        /// The unread rest; nil before it is known.
        var unread: Set<UInt64>?
        /// When `subscribe` stops waiting for it.
        var deadline = Instant(nanoseconds: .max)
        var isDone = false
    }

    private let manager: BypassManager
    private let queue: WorkQueue
    private let state = Monitor(State())

    private var store: BypassStore { manager.store }
    private var matcher: Matcher { manager.matcher }
    private var logger: Logger { manager.logger }

    /// The time that `subscribe` waits for namespaces that cannot be read.
    private static let maxWait = Interval.seconds(5)

    /// - Parameter queue: where namespaces are read.
    init(_ manager: BypassManager, queue: WorkQueue) {
        self.manager = manager
        self.queue = queue
    }

    /// The records are in use when this returns. The rest is recovered concurrently with clients' calls.
    func start() {
        if let fault = store.startFault { logger.error("the record log is damaged", metadata: ["error": "\(fault)"]) }
        if matcher.isMapNew { restoreEntries() }
        for (inode, record) in store.all {
            do throws(SystemCallError) {
                if let entry = try matcher.entry(of: inode) {
                    manager.transition.timers.set(inode, to: entry.deadline)
                } else {
                    // An `off` came as far as that, or the end of a bypass that has expired.
                    _ = store.end(inode, cookie: record.cookie)
                    store.flush(inode)
                }
            } catch {
                // It is read with the others.
                logger.error("an entry cannot be read", metadata: ["inode": "\(inode)", "error": "\(error)"])
            }
        }
        state.withLock { $0.deadline = .now + Self.maxWait }
        queue.add { self.run() }
    }

    private func run() {
        recordUnknownEntries()
        manager.transition.reportCount()
        let all = store.all
        state.update { state in (state.isComplete, state.unread) = (true, Set(all.map(\.inode))) }
        if all.isEmpty { finish() }
        for (inode, record) in all {
            queue.add {
                self.manager.reconcile(inode, record, isFirst: true)
                let isLast = self.state.withLock { state in
                    state.unread?.remove(inode)
                    return state.unread?.isEmpty == true
                }
                if isLast { self.finish() }
            }
        }
    }

    private func finish() {
        state.update { $0.isDone = true }
        queue.add { self.searchForOrphans() }
    }

    /// Releases all waiting calls when the daemon stops.
    func stop() { state.update { state in (state.isComplete, state.isDone) = (true, true) } }

    /// Waits until every bypass is known, by name and inode.
    func waitUntilComplete() { state.wait { $0.isComplete ? () : nil } }

    /// Waits until every bypass has been read, for a few seconds. One that has not been read by then is reported as such.
    func waitUntilDone() {
        waitUntilComplete()
        let isDone = state.waitWithDeadline { state, deadline in
            deadline = state.deadline
            return state.isDone ? true : nil
        }
        if isDone == true { return }
        for inode in state.withLock({ $0.unread ?? [] }) {
            if let record = store[inode] {
                manager.recoverUnread(inode, record, since: "it has not been read since the daemon started")
            }
        }
        state.update { $0.isDone = true }
    }

    /// The map was lost, and with it what is on. Rules may still stand, and ask a map that is out of reach; the
    /// records say what is wanted. The entries come first, so that a rule that is made again matches from the beginning.
    private func restoreEntries() {
        for (inode, record) in store.all {
            guard let direction = record.direction, let deadline = record.deadline else { continue }
            let entry = MapEntry(
                deadline: deadline, hooks: direction.hooks, scope: record.matchedScope ?? .all, isCurrent: false)
            do throws(SystemCallError) {
                try matcher.set(entry, of: inode)
            } catch {
                logger.error("a bypass is lost", metadata: ["netns": "\(record.netns)", "error": "\(error)"])
            }
        }
    }

    // MARK: entries without a record

    /// Entries of bypasses whose records are lost, or that were interrupted before they had one. The names of their
    /// namespaces are looked up in one pass: there may be thousands.
    private func recordUnknownEntries() {
        do throws(SystemCallError) {
            let unknown = try matcher.inodes().filter { store[$0] == nil }
            if unknown.isEmpty { return }
            let names = namespaceNames()
            for inode in unknown { recordUnknownEntry(inode, names) }
        } catch {
            logger.error("cannot list the matcher's map", metadata: ["error": "\(error)"])
        }
    }

    /// By inode; nil if that cannot be found out.
    private func namespaceNames() -> [UInt64: String]? {
        do throws(SystemCallError) {
            let visible = try NamespaceReference.visible()
            if let unknown = visible.unknown { throw unknown }
            var names = visible.paths
            for inode in HostNamespace.inodes { names[inode] = try NamespaceReference.find(inode: inode) }
            return names
        } catch {
            logger.warning("cannot look up the names of bypassed namespaces", metadata: ["error": "\(error)"])
            return nil
        }
    }

    /// In the namespace's turn: a call may be about it.
    private func recordUnknownEntry(_ inode: UInt64, _ names: [UInt64: String]?) {
        let gate = manager.executor.gate
        let place = gate.enter(.maintenance)
        defer { gate.leave(place) }
        gate.claim(inode, for: place)
        let entry: MapEntry?
        do throws(SystemCallError) {
            entry = try matcher.entry(of: inode)
            if entry == nil { return }
        } catch {
            logger.error("an entry cannot be read", metadata: ["inode": "\(inode)", "error": "\(error)"])
            entry = nil
        }
        if store[inode] != nil { return }
        if let names, names[inode] == nil {
            // The namespace was deleted, so nothing of ours is left in it.
            try? matcher.remove(inode)
            return
        }
        let (name, path) = (names?[inode] ?? "namespace \(inode)", names?[inode] ?? "")
        // Its generation stays what it was without a record.
        let record = BypassRecord(
            netns: name, path: path, since: .now, generation: store.generation(of: inode, cookie: nil))
        manager.transition.record(record, of: inode)
        manager.transition.timers.set(inode, to: entry?.deadline ?? 0)
    }

    // MARK: orphans

    /// Removes rules that no entry goes with, wherever a namespace can be seen: of a daemon whose map and records are both
    /// lost.
    private func searchForOrphans() {
        do throws(SystemCallError) {
            let visible = try NamespaceReference.visible()
            if let unknown = visible.unknown { logIncompleteSearch(unknown) }
            searchNext(visible.paths.filter { store[$0.key] == nil }.map { ($0.key, $0.value) }[...])
        } catch {
            logIncompleteSearch(error)
        }
    }

    private func logIncompleteSearch(_ error: SystemCallError) {
        logger.warning("cannot search all namespaces for orphaned rules", metadata: ["error": "\(error)"])
    }

    /// One namespace after the other, each in its place in the queue: other work does not wait for all of them.
    private func searchNext(_ rest: ArraySlice<(inode: UInt64, path: String)>) {
        guard let next = rest.first else { return logger.debug("searched for orphaned rules") }
        removeOrphans(next.inode, next.path)
        queue.add { self.searchNext(rest.dropFirst()) }
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
