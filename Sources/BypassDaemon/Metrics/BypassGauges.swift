internal import Bypass
internal import BypassAPI
internal import Linux

/// The bypasses, as the gauges show them.
struct BypassGauges: Sendable {
    struct Kind: Hashable {
        var state: BypassStatus.State
        var effect: BypassStatus.Effect
        var ends: Ends
    }

    /// Whether a bypass has an end.
    enum Ends: String, CaseIterable {
        case never, expires
    }

    private(set) var namespaces: [Kind: Int] = [:]
    /// When the oldest bypass of each began.
    private(set) var oldest: [Ends: Timestamp] = [:]
    private(set) var nextExpiry: Timestamp?
    /// Those that another program keeps damaging.
    private(set) var contested = 0
    /// Those of ended bypasses in which something could not be removed yet.
    private(set) var leftovers: Int

    /// - Parameters:
    ///   - bypasses: as they were known last.
    ///   - isContested: whether the daemon leaves a bypass that is damaged to another program for a while, by inode.
    init(_ bypasses: [BypassStatus], leftovers: Int, isContested: (UInt64) -> Bool) {
        self.leftovers = leftovers
        for bypass in bypasses {
            let ends: Ends = bypass.expiresAt == nil ? .never : .expires
            let effect = bypass.effect ?? (bypass.effective ? .all : .ineffective)
            namespaces[Kind(state: bypass.state, effect: effect, ends: ends), default: 0] += 1
            if let since = bypass.since { oldest[ends] = min(oldest[ends] ?? since, since) }
            if let end = bypass.expiresAt { nextExpiry = min(nextExpiry ?? end, end) }
            if bypass.state == .degraded && isContested(bypass.inode) { contested += 1 }
        }
    }

    /// Each kind that there can be: a series that is missing and one that is 0 are not the same for Prometheus.
    static var kinds: [Kind] {
        [BypassStatus.State.on, .degraded].flatMap { state in
            BypassStatus.Effect.allCases.flatMap { effect in
                Ends.allCases.map { Kind(state: state, effect: effect, ends: $0) }
            }
        }
    }
}

extension BypassManager {
    /// All metrics, in Prometheus' text format.
    var metricsText: String {
        let now = BootClock.now
        let gauges = BypassGauges(transition.events.bypasses, leftovers: transition.leftovers.count) { inode in
            contest(inode, at: now) != nil
        }
        return metrics.text(bypassed: store.count, gauges)
    }
}
