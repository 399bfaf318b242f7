internal import BypassAPI
internal import Logging
internal import NIOCore
internal import Synchronization

/// Log lines about clients that went beyond a limit. Clients must not be able to flood the journal: of each kind and
/// user there is one line a second at most, and a count of those that were left out.
final class RefusalLog: Sendable {
    /// What became of a client.
    enum Event: String {
        case refused = "connection refused"
        case gaveWay = "connection ended in favour of another user's"
        case cutOff = "connection cut off"
        case requestRefused = "request refused"
    }

    private struct Kind: Hashable {
        var event: Event
        var limit: Limits.Name
        var user: UInt32
    }

    private let counted: DaemonMetrics
    private let logger: Logger
    /// What was logged within the last second, and how much of the same was left out since.
    private let leftOut = Mutex<[Kind: Int]>([:])

    init(counted: DaemonMetrics, logger: Logger) {
        self.counted = counted
        self.logger = logger
    }

    /// - Parameter loop: keeps the time.
    func note(_ event: Event, _ limit: Limits.Name, user: UInt32, on loop: any EventLoop) {
        counted.noteLimit(limit)
        let kind = Kind(event: event, limit: limit, user: user)
        let isFirst = leftOut.withLock { leftOut in
            let count = leftOut[kind]
            leftOut[kind] = count.map { $0 + 1 } ?? 0
            return count == nil
        }
        guard isFirst else { return }
        log(kind)
        continueIn(loop, kind)
    }

    private func continueIn(_ loop: any EventLoop, _ kind: Kind) {
        _ = loop.scheduleTask(in: .seconds(1)) {
            let count = self.leftOut.withLock { leftOut in
                let count = leftOut[kind] ?? 0
                leftOut[kind] = count > 0 ? 0 : nil
                return count
            }
            guard count > 0 else { return }
            self.log(kind, count: count)
            self.continueIn(loop, kind)
        }
    }

    private func log(_ kind: Kind, count: Int? = nil) {
        var metadata: Logger.Metadata = ["limit": "\(kind.limit.rawValue)", "uid": "\(kind.user)"]
        if let count { metadata["times"] = "\(count)" }
        logger.warning("\(kind.event.rawValue)", metadata: metadata)
    }
}
