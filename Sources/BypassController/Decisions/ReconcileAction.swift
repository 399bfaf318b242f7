internal import BypassAPI
internal import PodBypass

/// The next action for one pod.
enum ReconcileAction: Hashable, Sendable {
    /// - Parameter ttl: seconds; the remaining ones if a bypass was lost before its expiry, or its TTL has not changed.
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
    /// Whether the pod has a status. `kubectl bypass on` removes it with each request, so that a pod without one has a request
    /// that no controller has answered yet.
    var hasStatus = true
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
            if matches(spec, bypass, at: now) { return .upToDate(BypassCondition(of: bypass)) }
            // Only another TTL counts from now.
            guard let expiry = bypass.expiresAt, !hasNewTTL(spec, bypass, at: now) else {
                return .turnOn(spec, ttl: spec.ttl)
            }
            return .turnOn(spec, ttl: Self.seconds(from: now, to: expiry))
        }
    }

    private func start(_ spec: BypassSpec, at now: Timestamp) -> ReconcileAction {
        // A changed TTL asks for a new bypass.
        guard let expiry, appliedSpec == nil || appliedSpec?.ttl == spec.ttl else {
            return .turnOn(spec, ttl: spec.ttl)
        }
        // Otherwise a bypass that expired while no controller ran would start again each time, and never end.
        if expiry <= now { return .upToDate(.expired(expiry)) }
        // The expiry may be that of the policy's `default-ttl`: the pod needs no TTL.
        return .turnOn(spec, ttl: Self.seconds(from: now, to: expiry))
    }

    /// At least one: the daemon is about to end a bypass that has expired.
    private static func seconds(from now: Timestamp, to expiry: Timestamp) -> Int {
        Int(max(expiry.secondsSince1970 - now.secondsSince1970, 1))
    }

    private func matches(_ spec: BypassSpec, _ bypass: BypassStatus, at now: Timestamp) -> Bool {
        bypass.direction == spec.direction && bypass.reason == spec.reason && bypass.scope == Scope(only: spec.only)
            && !hasNewTTL(spec, bypass, at: now) && !hasNewReset(spec)
    }

    /// Only the process that asked for a bypass knows its TTL. Another one checks whether the bypass expires at all, and accepts a
    /// later expiry that was set by other means. It answers an unanswered request only by a shorter time: otherwise a bypass
    /// whose status cannot be written would get longer with each restart.
    private func hasNewTTL(_ spec: BypassSpec, _ bypass: BypassStatus, at now: Timestamp) -> Bool {
        if let appliedSpec { return appliedSpec.ttl != spec.ttl }
        guard let ttl = spec.ttl else { return false }
        guard let expiry = bypass.expiresAt else { return true }
        return !hasStatus && Self.seconds(from: now, to: expiry) > ttl + Self.tolerance
    }

    /// Seconds between the clocks of the controller and the daemon, and for the daemon's answer.
    private static let tolerance = 5

    /// The daemon keeps no record of what was done with open connections.
    private func hasNewReset(_ spec: BypassSpec) -> Bool {
        guard let appliedSpec else { return false }
        return spec.connections == .reset && appliedSpec.connections != .reset
    }
}
