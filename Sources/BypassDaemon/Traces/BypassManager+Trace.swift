internal import Bypass
internal import BypassAPI
internal import BypassPolicy
internal import Datapath
internal import Linux
internal import Synchronization

/// The request of a call of `trace`.
struct TraceRequest: Sendable {
    let netns: String
    let seconds: Int
    let count: Int

    init(_ parameters: TraceMethod.Parameters) throws(BypassError) {
        netns = parameters.netns
        seconds = parameters.seconds ?? TraceMethod.usualSeconds
        count = parameters.count ?? TraceMethod.usualCount
        if seconds > TraceMethod.maxSeconds {
            throw .invalidParameter("seconds: must be \(TraceMethod.maxSeconds) or less")
        }
        if count > TraceMethod.maxCount { throw .invalidParameter("count: must be \(TraceMethod.maxCount) or less") }
    }
}

extension BypassManager {
    /// Begins a trace, whose lines go to a feed.
    func trace(
        _ request: TraceRequest, to feed: TraceFeed, by peer: Peer, _ after: inout AfterAnswer
    ) throws(BypassError) -> TraceMethod.Result {
        var record = AuditRecord(peer: peer, method: TraceMethod.name, netns: request.netns)
        do throws(BypassError) {
            let turn = try executor.turn(
                in: .named(request.netns, uid: peer.credentials.uid), as: principal(of: peer))
            defer { turn.end() }
            let inode = turn.namespace.inode
            _ = try authorizer.authorize(.trace, in: turn.resolved, netns: request.netns, by: peer)
            try claim(inode, for: peer, request.netns)
            let warnings: [Bypass.Warning]
            do throws(BypassError) {
                let rules = try turn.rules()
                warnings = rules.warnings + (rules.hasLegacyRules ? [.untraced] : [])
                try start(request, inode, turn.trace(rules), to: feed, peer)
            } catch {
                traces.remove(inode)
                throw error
            }
            record.inode = inode
            transition.complete(record, &after)
            return TraceMethod.Result(
                netns: request.netns, inode: inode, seconds: request.seconds, count: request.count,
                warnings: warnings.map(BypassStatus.Warning.init))
        } catch {
            transition.complete(record.failing(with: error), &after)
            throw error
        }
    }

    private func claim(_ inode: UInt64, for peer: Peer, _ netns: String) throws(BypassError) {
        do throws(RunningTraces.Refusal) {
            try traces.add(inode, of: peer.account)
        } catch {
            switch error {
            case .tooMany: throw .limitExceeded(.traces)
            case .isTraced:
                throw .conflict(
                    "\(netns.asPartOfSentence) is being traced by another client: try again when it has ended")
            }
        }
    }

    private func start(
        _ request: TraceRequest, _ inode: UInt64, _ trace: consuming NamespaceTrace, to feed: TraceFeed, _ peer: Peer
    ) throws(BypassError) {
        let handover = Mutex<NamespaceTrace?>(trace)
        do throws(SystemCallError) {
            try feed.start { [traces] in
                guard let trace = handover.withLock({ $0.take() }) else { return }
                var run = TraceRun(request, inode, uid: peer.credentials.uid, feed)
                run.follow(trace)
                traces.remove(inode)
            }
        } catch {
            handover.withLock { $0.take() }?.end()
            throw BypassError(error)
        }
    }
}
