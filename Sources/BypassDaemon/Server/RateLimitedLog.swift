internal import BypassAPI
internal import Linux
internal import Logging

/// Log lines about clients that went beyond a limit, and about faults that every call meets. Clients must not be able to
/// flood the journal: of each kind and account there is one line a second at most, with a count of those that were left
/// out.
final class RateLimitedLog: Sendable {
    /// The event of a client.
    enum Event: String {
        case refused = "connection refused"
        case evicted = "connection ended in favour of another user's"
        case cutOff = "connection cut off"
        case requestRefused = "request refused"
    }

    private enum Kind: Hashable {
        case limit(Event, Limits.Name, uid: UInt32)
        case unwrittenRecord(SystemCallError)
    }

    private let metrics: DaemonMetrics
    private let limiter: BurstLimiter<Kind, Kind>

    /// - Parameter queue: where delayed lines are written.
    init(metrics: DaemonMetrics, names: LocalAccountNames, logger: Logger, queue: WorkQueue) {
        self.metrics = metrics
        limiter = BurstLimiter(queue: queue) { kind, times in
            var metadata: Logger.Metadata = [:]
            if let times { metadata["times"] = "\(times)" }
            switch kind {
            case .limit(let event, let limit, let uid):
                metadata["limit"] = "\(limit.rawValue)"
                metadata["user"] = names.name(of: uid).map { "\($0)" }
                metadata["uid"] = "\(uid)"
                logger.warning("\(event.rawValue)", metadata: metadata)
            case .unwrittenRecord(let error):
                metadata["error"] = "\(error)"
                logger.warning("a record could not be written", metadata: metadata)
            }
        }
    }

    func record(_ event: Event, _ limit: Limits.Name, uid: UInt32) {
        metrics.countLimit(limit)
        add(.limit(event, limit, uid: uid))
    }

    /// The record of a bypass could not be written.
    func recordUnwritten(_ error: SystemCallError) { add(.unwrittenRecord(error)) }

    private func add(_ kind: Kind) { limiter.add(kind, of: kind) }

    /// Logs the delayed lines.
    func finish() { limiter.finish() }
}
