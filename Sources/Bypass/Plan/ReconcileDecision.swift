package import BypassAPI

/// The decision about a bypass without a call: at the daemon's start, when its time is over, and when
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
    ///   - scope: likewise.
    ///   - deadline: likewise.
    package init(hooks: HookSet?, scope: Scope? = nil, deadline: UInt64?, given observation: Observation) {
        if Self.isOver(hooks: hooks, deadline: deadline, entry: observation.entry, at: observation.now) {
            self = .end
            return
        }
        let found = observation.entry ?? MapEntry(deadline: MapEntry.expired, hooks: [])
        let wanted = MapEntry(
            deadline: deadline ?? found.deadline, hooks: hooks ?? found.hooks, scope: scope ?? found.scope,
            created: found.created)
        let desired = DesiredState.on(wanted.hooks, scope: wanted.scope, deadline: wanted.deadline)
        if observation.entry != nil && found != wanted {
            self = .renew(desired)
        } else {
            self = observation.entry == nil || Health(observation).state == .degraded ? .repair(desired) : .nothing
        }
    }

    /// Whether a bypass has ended, no matter what is in its namespace. What the matcher has ended is over, even if it was to go on:
    /// connections are back in the mesh already.
    package static func isOver(hooks: HookSet?, deadline: UInt64?, entry: MapEntry?, at now: UInt64) -> Bool {
        let isWanted = deadline.map { MapEntry(deadline: $0, hooks: hooks ?? []).isLive(at: now) }
        guard let entry else { return hooks == nil || isWanted != true }
        return !entry.isLive(at: now) || isWanted == false
    }
}
