internal import Bypass
internal import BypassAPI
internal import CoreMetrics
internal import Datapath
internal import JSONRPC
internal import Linux
internal import Logging
internal import NIOCore
internal import NIOPosix

/// What is done about bypasses without anybody asking.
extension Engine {
    /// Looks at a bypass and does what it needs: ends it when its time is over, renews and repairs it, or finds that its
    /// namespace has gone.
    ///
    /// - Parameter isFirst: whether it is the first look of this daemon at it.
    @discardableResult
    func care(for inode: UInt64, _ record: Record, isFirst: Bool = false) -> EventLoopFuture<Void> {
        withSession(.full, in: .bypassed(inode, record), on: background) { session throws(BypassError) in
            // It may have been ended, or changed, while this waited for its turn.
            guard let record = self.registry[inode] else { return }
            let observation = try Reconciler.observe(&session)
            if session.isOtherNamespace(by: observation) { return self.end(.gone, inode, record) }
            switch record.care(given: observation) {
            case .end: self.finish(record, observation, in: &session)
            case .nothing: self.noteWhole(observation, record, in: &session, isFirst: isFirst)
            case .renew(let wish):
                let outcome = try Reconciler.reconcile(wish, in: &session)
                self.logger.notice("bypass renewed", metadata: ["netns": "\(record.netns)", "inode": "\(inode)"])
                self.noteWhole(outcome.after, record, in: &session, isFirst: isFirst)
            case .repair(let wish): self.repair(wish, observation, record, in: &session)
            }
        }.flatMapError { error in
            if case BypassError.netnsNotFound = error { return self.noteGone(inode, record) }
            self.complain("a bypass could not be looked after", of: inode, record, error)
            // It is there all the same.
            if isFirst { self.events.adopt(self.remembered(inode, record, since: ErrorObject(error).message)) }
            return self.background.makeSucceededVoidFuture()
        }
    }

    /// A bypass as it should be; everybody hears of that if it was not so before.
    private func noteWhole(
        _ observation: Observation, _ record: Record, in session: inout NamespaceSession, isFirst: Bool
    ) {
        let wasDegraded = conditions.noteWhole(session.inode)
        if isFirst {
            events.adopt(status(of: observation, record.netns, in: &session))
        } else if wasDegraded {
            events.publish(.repaired, status(of: observation, record.netns, in: &session))
        }
    }

    /// Puts a damaged bypass right, if it is time for that; until then everybody knows that it is damaged.
    private func repair(
        _ wish: DesiredState, _ observation: Observation, _ record: Record, in session: inout NamespaceSession
    ) {
        let inode = session.inode
        let isTime = conditions.change(inode) { condition in
            guard observation.now >= condition.pace.next else { return false }
            condition.pace.recordAttempt(at: observation.now)
            return true
        }
        if isTime {
            do throws(BypassError) {
                let outcome = try Reconciler.reconcile(wish, in: &session)
                conditions.noteWhole(inode)
                counted.repairs.increment()
                let damage = Health(observation).warnings.map(\.code).joined(separator: ",")
                logger.notice(
                    "bypass repaired",
                    metadata: ["netns": "\(record.netns)", "inode": "\(inode)", "damage": "\(damage)"])
                return events.publish(.repaired, status(of: outcome.after, record.netns, in: &session))
            } catch {
                complain("a bypass could not be repaired", of: inode, record, error)
            }
        }
        let wasDegraded = conditions.change(inode) { condition in
            defer { condition.isDegraded = true }
            return condition.isDegraded
        }
        if !wasDegraded { events.publish(.degraded, status(of: observation, record.netns, in: &session)) }
    }

    /// The time is over, or an earlier daemon came no further. The matcher has ended it; what is left to do is to clean up.
    private func finish(_ record: Record, _ observation: Observation, in session: inout NamespaceSession) {
        let how: BypassEvent.Name = observation.entry?.deadline == MapEntry.expired ? .off : .expired
        let outcome: Reconciler.Outcome
        do throws(BypassError) {
            outcome = try Reconciler.reconcile(.off, in: &session)
        } catch {
            // Tried again with the next look; in the audit only once.
            if complain("what is left of an ended bypass could not be taken away", of: session.inode, record, error) {
                access.audit.note(AuditRecord(how, record, session.inode).failing(with: error))
            }
            return
        }
        end(how, session.inode, record, status(of: outcome.after, record.netns, in: &session), session.cookie)
    }

    /// A bypass has ended by itself, or with its namespace.
    private func end(
        _ how: BypassEvent.Name, _ inode: UInt64, _ record: Record, _ status: BypassStatus? = nil,
        _ cookie: UInt64? = nil
    ) {
        guard registry[inode] != nil else { return }
        forget(inode)
        if how == .gone {
            registry.remove(inode)
            try? matcher.remove(inode)
            views.remove(inode)
        } else {
            registry.end(inode, cookie: cookie)
            if how == .expired { counted.expiries.increment() }
        }
        var ended = status ?? BypassStatus(netns: record.netns, inode: inode, state: .off, effective: false)
        ended.generation =
            how == .gone ? registry.nextGeneration() : registry.generation(of: inode, cookie: cookie)
        events.publish(how, ended)
        access.audit.note(AuditRecord(how, record, inode))
        self.status.bypassed(registry.count, on: background)
    }

    /// A namespace was not found: it is gone, and all that was in it. Unless its number is another's by now, which may have
    /// a bypass of its own: that is told in its lane, where nobody else decides about that number.
    func noteGone(_ inode: UInt64, _ record: Record) -> EventLoopFuture<Void> {
        let promise = background.makePromise(of: Void.self)
        threads.submit { state in
            guard case .active = state else { return promise.succeed() }
            self.lanes.run(inode) {
                if self.registry[inode] == record { self.end(.gone, inode, record) }
                promise.succeed()
            }
        }
        return promise.futureResult
    }

    /// An inode number may be used again when its namespace is gone: what was known of that one is not about this one.
    func endPredecessor(of session: borrowing NamespaceSession) {
        guard let record = registry[session.inode], let old = record.cookie, let new = session.cookie, old != new else {
            return
        }
        end(.gone, session.inode, record)
    }

    /// What goes with a bypass that has ended, besides its record.
    func forget(_ inode: UInt64) {
        deadlines.cancel(inode)
        conditions.forget(inode)
    }

    /// Comes back when the deadline has passed.
    func watch(_ inode: UInt64, deadline: UInt64) {
        deadlines.set(inode, to: deadline) {
            if let record = self.registry[inode] { self.care(for: inode, record) }
        }
    }

    /// Says in the log what went wrong, but not over and over again.
    ///
    /// - Returns: whether it is something new.
    @discardableResult
    private func complain(_ what: Logger.Message, of inode: UInt64, _ record: Record, _ error: any Error) -> Bool {
        counted.noteError(error)
        let reason = ErrorObject(error).message
        let text = "\(what): \(reason)"
        let isNew = conditions.change(inode) { condition in
            defer { condition.complaint = text }
            return condition.complaint != text
        }
        if isNew {
            logger.warning(what, metadata: ["netns": "\(record.netns)", "inode": "\(inode)", "error": "\(reason)"])
        }
        return isNew
    }
}

extension AuditRecord {
    /// A bypass that has ended without anybody asking.
    fileprivate init(_ how: BypassEvent.Name, _ record: Record, _ inode: UInt64) {
        let method =
            switch how {
            case .expired: "expire"
            case .gone: "gone"
            default: "bypass \(how.rawValue)"
            }
        self.init(method: method, netns: record.netns, inode: inode, owner: record.owner, reason: record.reason)
    }
}

extension NamespaceSession {
    /// Whether this is another namespace than the one that was bypassed, which had its inode number. From Linux 5.14 on a
    /// namespace has a number of its own. Before, one in which nothing is ours is taken for another: to take a flushed
    /// one for that ends a bypass, and to take another for a flushed one would begin one that nobody wanted.
    borrowing func isOtherNamespace(by observation: Observation) -> Bool {
        cookie == nil && observation.holdsNothingOfOurs
    }
}
