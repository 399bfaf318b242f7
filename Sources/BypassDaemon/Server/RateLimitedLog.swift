internal import BypassAPI
internal import Linux
internal import Logging
internal import Synchronization

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
    private let logger: Logger
    private let queue: WorkQueue
    /// What was logged within the last second, and how much of the same was left out since.
    private let leftOut = Mutex<[Kind: Int]>([:])

    /// - Parameter queue: where the seconds end.
    init(metrics: DaemonMetrics, logger: Logger, queue: WorkQueue) {
        self.metrics = metrics
        self.logger = logger
        self.queue = queue
    }

    func record(_ event: Event, _ limit: Limits.Name, uid: UInt32) {
        metrics.countLimit(limit)
        let kind = Kind(event: event, limit: limit, uid: uid)
        let isFirst = leftOut.withLock { leftOut in
            let count = leftOut[kind]
            leftOut[kind] = count.map { $0 + 1 } ?? 0
            return count == nil
        }
        guard isFirst else { return }
        log(kind)
        schedule(kind)
    }

    private func schedule(_ kind: Kind) {
        queue.add(at: .now + .seconds(1)) { self.summarize(kind) }
    }

    /// A second is over: logs what was left out in it, and begins the next one; or forgets the kind.
    private func summarize(_ kind: Kind) {
        let count = leftOut.withLock { leftOut in
            let count = leftOut[kind] ?? 0
            leftOut[kind] = count > 0 ? 0 : nil
            return count
        }
        guard count > 0 else { return }
        log(kind, count: count)
        schedule(kind)
    }

    private func log(_ kind: Kind, count: Int? = nil) {
        var metadata: Logger.Metadata = ["limit": "\(kind.limit.rawValue)", "uid": "\(kind.uid)"]
        if let count { metadata["times"] = "\(count)" }
        logger.warning("\(kind.event.rawValue)", metadata: metadata)
    }
}
