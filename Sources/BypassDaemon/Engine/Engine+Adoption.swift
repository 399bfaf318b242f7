internal import Bypass
internal import BypassAPI
internal import Datapath
internal import JSONRPC
internal import Linux
internal import Logging
internal import NIOCore
internal import NIOPosix

extension Engine {
    /// Takes over what an earlier daemon left: the kernel's entries say what is on, the records who wanted it.
    ///
    /// What is known at once is known when this returns; every namespace is then looked at side by side with the calls of
    /// clients. ``adopted`` says when that is done.
    func adopt() {
        if matcher.isMapNew { restoreEntries() }
        do throws(SystemCallError) {
            for inode in try matcher.inodes() where registry[inode] == nil { adoptUnrecorded(inode) }
        } catch {
            logger.error("bypasses without a record cannot be found", metadata: ["error": "\(error)"])
        }
        for (inode, _) in registry.all {
            do throws(SystemCallError) {
                if let entry = try matcher.entry(of: inode) {
                    watch(inode, deadline: entry.deadline)
                } else {
                    // An `off` came as far as that.
                    registry.remove(inode)
                }
            } catch {
                // It is looked at with the others.
                logger.error("an entry cannot be read", metadata: ["inode": "\(inode)", "error": "\(error)"])
            }
        }
        let looks = registry.all.map { inode, record in care(for: inode, record, isFirst: true) }
        EventLoopFuture.whenAllComplete(looks, on: background).whenComplete { _ in
            self.noteAdopted()
            self.sweep()
        }
    }

    /// Takes rules away that no entry goes with, wherever a namespace can be seen: of a daemon whose map and records are
    /// both lost.
    private func sweep() {
        let found = threads.runIfActive(eventLoop: background) {
            try NamespaceReference.visible().filter { self.registry[$0.key] == nil }
        }
        let swept = found.flatMap { found in
            EventLoopFuture.andAllComplete(found.map { self.sweep($0.key, $0.value) }, on: self.background)
        }
        swept.whenComplete { result in
            switch result {
            case .success: self.logger.debug("searched for leftovers")
            case .failure(let error):
                self.logger.warning("leftovers could not be searched for", metadata: ["error": "\(error)"])
            }
        }
    }

    private func sweep(_ inode: UInt64, _ path: String) -> EventLoopFuture<Void> {
        let subject = Subject.bypassed(inode, Record(netns: path, path: path, since: .now))
        return withSession(.ownRules, in: subject, on: background) { session throws(BypassError) in
            let observation = try Reconciler.observe(&session)
            if self.registry[inode] != nil || !observation.holdsLeftovers { return }
            _ = try Reconciler.reconcile(.off, in: &session)
            self.logger.notice(
                "rules without a bypass taken away",
                metadata: [
                    "netns": "\(path)", "inode": "\(inode)",
                    "chains": "\(observation.ownChains.joined(separator: ", "))",
                ])
        }.flatMapErrorThrowing { error in
            if case BypassError.netnsNotFound = error { return }
            self.counted.noteError(error)
            self.logger.warning(
                "a namespace could not be searched for leftovers",
                metadata: ["netns": "\(path)", "error": "\(ErrorObject(error).message)"])
        }
    }

    /// The map was lost, and with it what is on. Rules may still stand, and ask a map that nobody can reach any more; the
    /// records say what is wanted. The entries come first, so that a rule that is made anew says yes from the beginning.
    private func restoreEntries() {
        for (inode, record) in registry.all {
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
    private func adoptUnrecorded(_ inode: UInt64) {
        var record = Record(
            netns: "namespace \(inode)", path: "", since: .now, generation: registry.nextGeneration())
        do throws(SystemCallError) {
            guard let path = try NamespaceReference.find(inode: inode) else {
                // Nothing has that namespace any more, so nothing of ours is left in it.
                try? matcher.remove(inode)
                return
            }
            (record.netns, record.path) = (path, path)
        } catch {
            logger.warning(
                "a bypassed namespace cannot be looked for yet", metadata: ["inode": "\(inode)", "error": "\(error)"])
        }
        keep(record, of: inode)
    }
}

extension Timestamp {
    static var now: Timestamp { Timestamp(secondsSince1970: WallClock.now / 1_000_000_000) }
}
