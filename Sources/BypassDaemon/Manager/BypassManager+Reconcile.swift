internal import Bypass
internal import BypassAPI
internal import CoreMetrics
internal import Datapath
internal import JSONRPC
internal import Linux
internal import Logging

/// The work on bypasses without a call.
extension BypassManager {
    /// Reads a bypass and does what it needs: cleans up when it has expired, renews and repairs it, or finds that its
    /// namespace is gone.
    ///
    /// - Parameter isFirst: whether this daemon has not read it before.
    func reconcile(_ inode: UInt64, _ record: BypassRecord, isFirst: Bool = false) {
        var after = AfterAnswer()
        defer { after.run() }
        do throws(BypassError) {
            let turn = try executor.turn(in: .known(inode, record), as: .maintenance)
            defer { turn.end() }
            var session = try turn.enter(.full)
            dropStaleRecord(session, &after)
            // It may have been ended, or changed, while this waited for its turn.
            guard var record = store[inode] else { return }
            // This check does not need the ruleset, which may be unreadable.
            if record.isOver(entry: try session.entry(), at: BootClock.now) {
                return finish(record, in: &session, &after)
            }
            let observation = try Reconciler.observe(&session)
            if session.isOtherNamespace(than: record, by: observation) {
                return endWithNamespace(inode, record, &after)
            }
            identify(&record, in: session)
            switch record.reconcileDecision(given: observation) {
            case .end: finish(record, in: &session, &after)
            case .nothing: markHealthy(observation, record, in: &session, isFirst: isFirst, &after)
            case .renew(let state):
                let outcome = try Reconciler.reconcile(state, in: &session)
                logger.notice("bypass renewed", metadata: ["netns": "\(record.netns)", "inode": "\(inode)"])
                markHealthy(outcome.after, record, in: &session, isFirst: isFirst, &after)
            case .repair(let state): repair(state, observation, record, in: &session, &after)
            }
        } catch {
            if case .netnsNotFound = error { return handleRemoved(inode, record, as: .maintenance, &after) }
            logOnce("a bypass could not be reconciled", of: inode, record, error)
            if isFirst { recoverUnread(inode, record, since: ErrorObject(error).message) }
        }
    }

    /// Reports a bypass of an earlier daemon that cannot be read yet. `repaired` follows when it has been read.
    func recoverUnread(_ inode: UInt64, _ record: BypassRecord, since reason: String) {
        transition.repairs.update(inode) { $0.isDegraded = true }
        transition.events.recover(lastKnownStatus(inode, record, since: reason))
    }

    /// Whether a bypass is as it should be: one question to its namespace, for the generation of its ruleset, if nothing has
    /// changed there. If not, it is reconciled.
    func resync(_ inode: UInt64, _ record: BypassRecord) {
        let began = Instant.now
        if began.nanoseconds < transition.repairs[inode].nextReading { return }
        do throws(BypassError) {
            if try isHealthy(inode, record) { return }
        } catch {
            // It is read again in the next round; later, if the attempt has blocked a thread for long.
            guard case .netnsNotFound = error else {
                if .now - began > Self.longReading {
                    transition.repairs.update(inode) { $0.postponeReading(from: BootClock.now) }
                }
                return
            }
        }
        reconcile(inode, record)
    }

    private static let longReading = Interval.seconds(1)

    private func isHealthy(_ inode: UInt64, _ record: BypassRecord) throws(BypassError) -> Bool {
        var after = AfterAnswer()
        defer { after.run() }
        let turn = try executor.turn(in: .known(inode, record), as: .maintenance)
        defer { turn.end() }
        var session = try turn.enter(.redirects)
        dropStaleRecord(session, &after)
        guard var record = store[inode] else { return true }
        if record.path != session.path {
            // Its name is gone, and it was found by another: the next time is quick again.
            record.path = session.path
            transition.record(record, of: inode)
        }
        let observation = try Reconciler.observe(&session)
        if session.isOtherNamespace(than: record, by: observation) { return false }
        watchMask(in: &session, &after)
        if exemptOthers(in: observation, &record, turn, session, isCall: false) {
            transition.record(record, of: inode)
        }
        return record.cookie == session.cookie && record.reconcileDecision(given: observation) == .nothing
            && !transition.repairs[inode].isDegraded
    }

    /// A bypass as it should be; subscribers hear of that if it was not so before.
    private func markHealthy(
        _ observation: Observation, _ record: BypassRecord, in session: inout NamespaceSession, isFirst: Bool,
        _ after: inout AfterAnswer
    ) {
        let wasDegraded = transition.repairs.markHealthy(session.inode)
        if wasDegraded {
            // By another program, or by this one after a restart.
            let damage = transition.events[session.inode]?.warnings.map(\.code) ?? []
            transition.publish(
                .repaired, status(of: observation, record.netns, in: &session), damage: Health.damageCodes(in: damage),
                &after)
        } else if isFirst {
            transition.events.recover(status(of: observation, record.netns, in: &session))
        }
    }

    /// Repairs a damaged bypass, if it is time for that; until then subscribers know that it is damaged.
    private func repair(
        _ state: DesiredState, _ observation: Observation, _ record: BypassRecord, in session: inout NamespaceSession,
        _ after: inout AfterAnswer
    ) {
        let inode = session.inode
        if transition.repairs.update(inode, { $0.claimAttempt(at: observation.now) }) {
            do throws(BypassError) {
                let outcome = try Reconciler.reconcile(state, in: &session)
                transition.repairs.markHealthy(inode)
                metrics.repairs.increment()
                let damage = Health.damageCodes(in: Health(observation).warnings.map(\.code))
                logger.notice(
                    "bypass repaired",
                    metadata: [
                        "netns": "\(record.netns)", "inode": "\(inode)",
                        "damage": "\(damage.joined(separator: ","))",
                    ])
                let strays = settleFlows(before: observation.bypassed, outcome.after, in: &session)
                let status = status(of: outcome.after, record.netns, in: &session, strays: strays)
                return transition.publish(.repaired, status, damage: damage, &after)
            } catch {
                logOnce("a bypass could not be repaired", of: inode, record, error)
            }
        }
        // One of the mask's chains alone breaks the pod's inbound connections: until the repair they take the mesh's way.
        let remains = Plan(removingDamagedMaskOf: observation)
        if !remains.actions.isEmpty { try? session.execute(remains.actions) }
        let wasDegraded = transition.repairs.update(inode) { repair in
            defer { repair.isDegraded = true }
            return repair.isDegraded
        }
        if !wasDegraded {
            transition.publish(.degraded, status(of: observation, record.netns, in: &session), &after)
        }
    }

    /// It has expired, or an earlier daemon came no further. The matcher has ended it; what is left to do is to clean up.
    private func finish(_ record: BypassRecord, in session: inout NamespaceSession, _ after: inout AfterAnswer) {
        let deadline = (try? session.entry())?.deadline
        let ending: Transition.Ending = deadline == MapEntry.expired ? .off : .expired
        let refusals = [
            MapEntry.implausible: "its deadline in the matcher's map is beyond any ttl",
            MapEntry.ofLaterVersion:
                "a later version of the daemon has given it a condition that this one does not know; turn it on again",
        ]
        if let reason = deadline.flatMap({ refusals[$0] }) {
            logger.warning(
                "a bypass is ended: \(reason)",
                metadata: ["netns": "\(record.netns)", "inode": "\(session.inode)"])
        }
        do throws(BypassError) {
            let outcome = try end(record.netns, in: &session)
            let strays = settleFlows(after: outcome, in: &session)
            var status = status(of: outcome.after, record.netns, in: &session, strays: strays)
            transition.end(
                ending, session.inode, record, cookie: session.cookie, status: &status,
                audit: AuditRecord(ending, record, session.inode), &after)
        } catch {
            // Tried again with the next resync; in the audit only once.
            if logOnce("an ended bypass could not be removed from the matcher's map", of: session.inode, record, error)
            {
                let failed = AuditRecord(ending, record, session.inode).failing(with: error)
                transition.complete(failed, &after)
            }
        }
    }

    // MARK: what is left

    /// Stops the matcher, and removes what can be removed.
    func end(
        _ netns: String, _ earlier: MapEntry? = nil, in session: inout NamespaceSession
    ) throws(BypassError) -> Reconciler.Ending {
        let earlier = earlier ?? transition.leftovers.entry(of: session.inode, cookie: session.cookie)
        var ending = try Reconciler.end(earlier, in: &session)
        // Nothing was on and nothing was found: an unreadable namespace alone does not suggest leftovers.
        if ending.entry == nil && !ending.changed {
            ending.leftovers.removeAll { if case .unknown = $0 { true } else { false } }
        }
        let record = BypassRecord(netns: netns, path: session.path, cookie: session.cookie, since: .now)
        transition.keepLeftovers(of: ending, session.inode, record)
        return ending
    }

    /// Tries again to remove what an ended bypass has left in its namespace.
    func removeLeftovers(_ inode: UInt64, _ remnant: Leftovers.Remnant) {
        let record = remnant.record
        do throws(BypassError) {
            let turn = try executor.turn(in: .known(inode, record), as: .maintenance)
            defer { turn.end() }
            var session = try turn.enter(.ownRules)
            guard store[inode] == nil, session.cookie == record.cookie else {
                return transition.leftovers.remove(inode)
            }
            if try end(record.netns, remnant.entry, in: &session).leftovers.isEmpty {
                logger.notice(
                    "leftovers of an ended bypass removed",
                    metadata: ["netns": "\(record.netns)", "inode": "\(inode)"])
            }
        } catch {
            if case .netnsNotFound = error { return transition.leftovers.remove(inode) }
            metrics.countError(error)
        }
    }

    // MARK: logging

    /// Logs what went wrong with a bypass, but not the same again and again.
    ///
    /// - Returns: whether it was logged.
    @discardableResult
    private func logOnce(_ what: Logger.Message, of inode: UInt64, _ record: BypassRecord, _ error: BypassError) -> Bool
    {
        metrics.countError(error)
        let reason = ErrorObject(error).message
        let text = "\(what): \(reason)"
        let isNew = transition.repairs.update(inode) { repair in
            defer { repair.lastLoggedError = text }
            return repair.lastLoggedError != text
        }
        if isNew {
            logger.warning(what, metadata: ["netns": "\(record.netns)", "inode": "\(inode)", "error": "\(reason)"])
        }
        return isNew
    }
}

extension AuditRecord {
    /// A bypass that has ended without a call.
    init(_ ending: Transition.Ending, _ record: BypassRecord, _ inode: UInt64) {
        let method =
            switch ending {
            case .expired: "expire"
            case .gone: "gone"
            case .off: "bypass off"
            }
        self.init(
            method: method, netns: record.netns, inode: inode, scope: record.scope ?? .all, owner: record.owner,
            reason: record.reason)
    }
}
