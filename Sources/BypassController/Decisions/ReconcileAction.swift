internal import BypassAPI
internal import PodBypass

/// The next action for one pod.
enum ReconcileAction: Hashable, Sendable {
    /// - Parameter ttl: seconds; the remaining ones if a bypass was lost before its expiry.
    case turnOn(BypassSpec, ttl: Int?)
    case turnOff
    /// Nothing but to report the condition; nil: nothing at all.
    case upToDate(BypassCondition?)

    var isTurnOn: Bool { if case .turnOn = self { true } else { false } }
}

/// Everything that the decision about one pod depends on.
struct PodSnapshot: Hashable, Sendable {
    /// nil if the pod has no label, or was deleted.
    var eligibility: Eligibility?
    /// The bypass that the controller has made for the pod, as reported by the daemon.
    var bypass: BypassStatus?
    /// The last request to the daemon, if this process remembers.
    var appliedSpec: BypassSpec?
    /// When the pod's bypass was to expire, as its annotation or the daemon reported.
    var expiry: Timestamp?
    /// Whether this controller has turned the pod's bypass off.
    var wasOn = false
    /// The rules of another program that bypass the sidecar all the same; nil if there are none.
    var foreignBypass: String?

    func action(at now: Timestamp) -> ReconcileAction {
        switch eligibility {
        case .terminating: return .upToDate(nil)
        case nil:
            if bypass != nil { return .turnOff }
            return .upToDate(foreignBypass.map(BypassCondition.offNotEffective) ?? .off(wasOn: wasOn))
        case .ended: return bypass == nil ? .upToDate(.off(wasOn: false)) : .turnOff
        // Only the label, the TTL and the pod's end take a bypass away: it is needed most while the sidecar fails.
        case .notYet(let reason):
            return .upToDate(bypass.map(BypassCondition.init(of:)) ?? .waiting(reason, until: expiry))
        case .ineligible(let reason):
            return .upToDate(
                bypass.map { .unchanged(until: $0.expiresAt, reason) } ?? .refused(reason, until: expiry))
        case .eligible(let spec):
            guard let bypass else { return start(spec, at: now) }
            return matches(spec, bypass) ? .upToDate(BypassCondition(of: bypass)) : .turnOn(spec, ttl: spec.ttl)
        }
    }

    private func start(_ spec: BypassSpec, at now: Timestamp) -> ReconcileAction {
        // A changed TTL asks for a new bypass.
        guard let expiry, appliedSpec == nil || appliedSpec?.ttl == spec.ttl else {
            return .turnOn(spec, ttl: spec.ttl)
        }
        // Otherwise a bypass that expired while no controller ran would start again each time, and never end.
        if expiry <= now { return .upToDate(.expired(expiry)) }
        return .turnOn(spec, ttl: spec.ttl.map { _ in Int(expiry.secondsSince1970 - now.secondsSince1970) })
    }

    /// Whether the bypass is as the spec wants it. Only the process that asked for a bypass knows its TTL: another one checks
    /// whether it expires at all, and accepts a later expiry that was set by other means.
    private func matches(_ spec: BypassSpec, _ bypass: BypassStatus) -> Bool {
        guard bypass.direction == spec.direction, bypass.reason == spec.reason,
            bypass.scope == Scope(only: spec.only)
        else { return false }
        if let appliedSpec {
            // The daemon keeps no record of what was done with open connections.
            return appliedSpec.ttl == spec.ttl && (spec.connections != .reset || appliedSpec.connections == .reset)
        }
        return spec.ttl == nil || bypass.expiresAt != nil
    }
}
