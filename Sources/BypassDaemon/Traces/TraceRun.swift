internal import Bypass
internal import BypassAPI
internal import Datapath
internal import JSONRPC
internal import Linux
internal import Netfilter
internal import StrictJSON

/// A running trace, on its own thread: reads what the kernel reports, and makes lines of it until it ends.
struct TraceRun {
    private let request: TraceRequest
    private let inode: UInt64
    private let uid: UInt32
    private let feed: TraceFeed
    private let deadline: Instant
    private var nextLook = Instant.now + lookPause
    private var nextCount = Instant.now + countPause
    /// Connections that were reported, and those that were not and whose number was.
    private var (reported, leftOut) = (0, 0)

    /// The longest time until the end of the client is noticed.
    private static let patience = Interval.milliseconds(100)
    /// The pause between two counts of the connections that are left out.
    private static let countPause = Interval.seconds(1)
    /// The pause between two checks whether the namespace still has its name: the trace would keep it alive.
    private static let lookPause = Interval.seconds(2)

    init(_ request: TraceRequest, _ inode: UInt64, uid: UInt32, _ feed: TraceFeed) {
        self.request = request
        self.inode = inode
        self.uid = uid
        self.feed = feed
        deadline = .now + .seconds(request.seconds)
    }

    /// Follows a trace to its end.
    mutating func follow(_ trace: consuming NamespaceTrace) {
        let reason = report(&trace)
        try? trace.count()
        let connections = trace.connections
        trace.end()
        guard let reason else { return }
        let end = TraceEnd(reason: reason, connections: reported, leftOut: max(0, connections - reported))
        feed.finish(Self.line(.ended, end))
    }

    /// - Returns: why it ends; nil if its client wants no more.
    private mutating func report(_ trace: inout NamespaceTrace) -> TraceEnd.Reason? {
        while !feed.isCancelled {
            let now = Instant.now
            if now >= deadline { return .time }
            if now >= nextLook {
                if hasGone { return .gone }
                nextLook = now + Self.lookPause
            }
            do throws(BypassError) {
                for connection in try trace.next(within: min(Self.patience, deadline - now)) {
                    if feed.add(Self.line(.connection, ConnectionEvent(connection))) { reported += 1 }
                    if reported == request.count { return .count }
                }
                if now >= nextCount {
                    try trace.count()
                    nextCount = now + Self.countPause
                    reportLeftOut(trace.connections - reported - leftOut)
                }
            } catch {
                return .failed
            }
        }
        return nil
    }

    /// - Parameter count: with those whose packets are still on their way.
    private mutating func reportLeftOut(_ count: Int) {
        if count > 0, feed.add(Self.line(.leftOut, LeftOutConnections(connections: count))) { leftOut += count }
    }

    /// Whether the name that the client gave no longer leads to the namespace.
    private var hasGone: Bool {
        do throws(NamespaceError) {
            return try NamespaceReference(request.netns)?.open(for: uid).inode != inode
        } catch {
            // One that cannot be opened has not gone.
            if case .systemCall = error { return false }
            return true
        }
    }

    private static func line(_ name: TraceEvent.Name, _ params: some JSONWritableObject) -> [UInt8] {
        RequestWriter.notification(method: name.rawValue, params: params)
    }
}

extension ConnectionEvent {
    fileprivate init(_ connection: NamespaceTrace.Connection) {
        let (traced, way) = (connection.traced, connection.way)
        self.init(
            time: .now, direction: connection.isInbound ? .inbound : .outbound, family: traced.family.name,
            protocol: traced.isTCP ? .tcp : .udp, from: traced.from.description, to: traced.to.description,
            ends: ExplainMethod.End(way), source: way.isTraced ? .trace : .rules,
            rules: way.path.deciding.map(ExplainMethod.Step.init))
    }
}
