internal import BypassAPI
internal import Linux
internal import Logging

/// Log lines about clients that went beyond a limit. Clients must not be able to flood the journal: of each kind and
/// account there is one line a second at most, with a count of those that were left out.
final class RateLimitedLog: Sendable {
    /// What happened to a client.
    enum Event: String {
        case refused = "connection refused"
        case evicted = "connection ended in favour of another user's"
        case cutOff = "connection cut off"
        case requestRefused = "request refused"
    }

    private struct Kind: Hashable {
        var event: Event
        var limit: Limits.Name
        var uid: UInt32
    }

    private let metrics: DaemonMetrics
    private let limiter: BurstLimiter<Kind, Kind>

    /// - Parameter queue: where delayed lines are written.
    init(metrics: DaemonMetrics, logger: Logger, queue: WorkQueue) {
        self.metrics = metrics
        limiter = BurstLimiter(queue: queue) { kind, times in
            var metadata: Logger.Metadata = ["limit": "\(kind.limit.rawValue)", "uid": "\(kind.uid)"]
            if let times { metadata["times"] = "\(times)" }
            logger.warning("\(kind.event.rawValue)", metadata: metadata)
        }
    }

    func record(_ event: Event, _ limit: Limits.Name, uid: UInt32) {
        metrics.countLimit(limit)
        let kind = Kind(event: event, limit: limit, uid: uid)
        limiter.add(kind, of: kind)
    }

    /// Logs the delayed lines.
    func finish() { limiter.finish() }
}
