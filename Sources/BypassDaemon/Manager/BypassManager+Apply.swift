internal import Bypass
internal import BypassAPI
internal import Datapath
internal import Linux

/// The execution of `on` and `extend` after the decision.
extension BypassManager {
    /// Makes what a record says so, and gives what then is.
    ///
    /// - Parameters:
    ///   - old: what there was before, and is again if this fails.
    ///   - isNew: whether the record differs, even if the kernel has nothing to do.
    func apply(
        _ record: BypassRecord, insteadOf old: BypassRecord?, isNew: Bool, _ connections: OpenConnections,
        _ netns: String, _ turn: borrowing NamespaceTurn, _ session: inout NamespaceSession,
        _ after: inout AfterAnswer
    ) throws(BypassError) -> BypassMethod.Result {
        let inode = session.inode
        // Before anything is on: whatever happens to the daemon, it is known who wanted it.
        transition.record(record, of: inode)
        var record = record
        var outcome: Reconciler.Outcome
        do throws(BypassError) {
            outcome = try Reconciler.reconcile(record.desiredState, in: &session)
            if exemptOthers(in: outcome.after, &record, turn, session, isCall: true) {
                transition.record(record, of: inode)
                outcome.after = try Reconciler.reconcile(record.desiredState, in: &session).after
            }
        } catch {
            transition.rollBack(to: old, of: inode)
            throw error
        }
        transition.activate(record, of: inode)
        let strays = settleFlows(before: outcome.before.bypassed, outcome.after, connections, in: &session)
        let status = status(of: outcome.after, netns, in: &session, strays: strays)
        let changed = isNew || outcome.changed
        if changed { transition.publish(.on, status, &after) }
        return BypassMethod.Result(status: status, changed: changed, ended: strays.ended)
    }

    /// Leaves out of a bypass what other programs' rules take, and the mesh does not: the bypass would only keep those rules
    /// from taking effect.
    ///
    /// - Parameter isCall: false if it is enough to ask what the mesh takes now and then.
    /// - Returns: whether that has changed.
    func exemptOthers(
        in observation: Observation, _ record: inout BypassRecord, _ turn: borrowing NamespaceTurn,
        _ session: borrowing NamespaceSession, isCall: Bool
    ) -> Bool {
        let old = record.exempted
        guard record.except == nil, let set = observation.exemptable(with: (record.direction ?? .both).hooks) else {
            record.exempted = nil
            return old != nil
        }
        let (inode, generation, began) = (session.inode, session.generation, Instant.now)
        guard isCall || transition.exemptions.isDue(inode, set, generation, at: began) else { return false }
        defer { transition.exemptions.record(inode, set, generation, from: began, to: .now) }
        // What cannot be read now stays as it was decided last.
        guard let rules = try? turn.rules() else { return false }
        record.exempted = rules.isMeshFree(set) ? set : nil
        return record.exempted != old
    }

    /// Of a bypass that has a mask: the damage of one is found at once.
    func watchMask(in session: inout NamespaceSession, _ after: inout AfterAnswer) {
        guard (try? session.entry())?.created.contains(.mask) == true else { return }
        transition.watchMask(of: session.inode, in: session.shared, &after)
    }
}
