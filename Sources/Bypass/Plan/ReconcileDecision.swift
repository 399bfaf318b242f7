internal import BypassAPI

/// What has to be done about a bypass that no call is about: at the daemon's start, when its time is over, and when
/// its namespace has changed.
package enum ReconcileDecision: Hashable, Sendable {
    case nothing
    /// Its time is over: what is left of it has to go.
    case end
    /// It is as it was made, but that is not as it has to be now: its rules are an older matcher's, or a change was
    /// interrupted.
    case renew(DesiredState)
    /// Something is missing, or is where it does not override the mesh.
    case repair(DesiredState)

    /// - Parameters:
    ///   - hooks: what was asked for, if there is a record of it; the entry's own otherwise.
    ///   - deadline: likewise.
    package init(hooks: HookSet?, deadline: UInt64?, given observation: Observation) {
        guard let entry = observation.entry else {
            guard let hooks, let deadline, MapEntry(deadline: deadline, hooks: hooks).isLive(at: observation.now) else {
                self = .end
                return
            }
            self = .repair(.on(hooks, deadline: deadline))
            return
        }
        let wanted = MapEntry(
            deadline: deadline ?? entry.deadline, hooks: hooks ?? entry.hooks, created: entry.created)
        let desired = DesiredState.on(wanted.hooks, deadline: wanted.deadline)
        // What the matcher has ended is over, even if it was to go on: connections are back in the mesh already.
        if !entry.isLive(at: observation.now) || !wanted.isLive(at: observation.now) {
            self = .end
        } else if entry != wanted {
            self = .renew(desired)
        } else {
            self = Health(observation).state == .degraded ? .repair(desired) : .nothing
        }
    }
}
