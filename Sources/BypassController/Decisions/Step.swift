internal import BypassAPI

/// What is to be done for one pod next.
enum Step: Hashable, Sendable {
    /// - Parameter ttl: seconds; what is left, if a bypass was lost before its end.
    case turnOn(Options, ttl: Int?)
    case turnOff
    /// Nothing but to tell; nil: nothing at all.
    case rest(PodState?)
}

/// Everything that a decision about one pod is made on.
struct PodView: Hashable, Sendable {
    /// nil if the label is not there, or the pod.
    var verdict: Verdict?
    /// The bypass that this controller has made for the pod, as the daemon tells it.
    var bypass: BypassStatus?
    /// What was asked of the daemon last, if this process remembers.
    var applied: Options?
    /// When the pod's bypass was to end, as its annotation or the daemon told.
    var end: Timestamp?
    /// Whether this controller has ended the pod's bypass.
    var wasOn = false

    func step(at now: Timestamp) -> Step {
        switch verdict {
        case .leave: return .rest(nil)
        case nil: return bypass == nil ? .rest(.off(wasOn: wasOn)) : .turnOff
        case .wait(let reason): return bypass == nil ? .rest(.waiting(reason)) : .turnOff
        case .refuse(let reason): return bypass == nil ? .rest(.refused(reason)) : .turnOff
        case .bypass(let options):
            guard let bypass else { return begin(options, at: now) }
            return fits(options, bypass) ? .rest(PodState(of: bypass)) : .turnOn(options, ttl: options.ttl)
        }
    }

    private func begin(_ options: Options, at now: Timestamp) -> Step {
        // A change of the time asks for a new one.
        guard let end, applied == nil || applied?.ttl == options.ttl else { return .turnOn(options, ttl: options.ttl) }
        // Without this a bypass that has ended while nobody looked would begin again, and never end.
        if end <= now { return .rest(.expired(end)) }
        return .turnOn(options, ttl: options.ttl.map { _ in Int(end.secondsSince1970 - now.secondsSince1970) })
    }

    /// Whether the bypass is what is asked for. When it was to last so long is known only to who has asked for it: another
    /// process looks whether it ends at all, and one that has more time than that is left alone.
    private func fits(_ options: Options, _ bypass: BypassStatus) -> Bool {
        guard bypass.direction == options.direction, bypass.reason == options.reason else { return false }
        if let applied { return applied.ttl == options.ttl }
        return options.ttl == nil || bypass.expiresAt != nil
    }
}

extension PodState {
    /// What to say of a bypass that is as it was asked for.
    init(of bypass: BypassStatus) {
        // Old connections stay in the proxy always, and what the daemon's disk is like is not the pod's matter.
        let warnings = bypass.warnings.filter { !["established-connections", "not-recorded"].contains($0.code) }
        guard bypass.state == .degraded || !bypass.effective || !warnings.isEmpty else {
            self = .on(until: bypass.expiresAt)
            return
        }
        self = .notEffective(
            until: bypass.expiresAt, codes: Set(warnings.map(\.code)).sorted().joined(separator: " "),
            sentences: warnings.map(\.message).joined(separator: "; "))
    }
}
