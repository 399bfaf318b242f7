internal import Bypass
internal import BypassAPI
internal import JSONRPC
internal import Linux
internal import Logging
internal import NIOCore

extension Engine {
    /// `bypass`: makes the wish true, and tells what then is.
    func bypass(
        _ parameters: BypassMethod.Parameters, for peer: Peer, on loop: any EventLoop
    ) -> EventLoopFuture<BypassMethod.Result> {
        if let refusal = Self.refusal(parameters) { return loop.makeFailedFuture(refusal) }
        let purpose: NamespaceSession.Purpose = parameters.state == .off ? .removing : .telling
        let done = withSession(purpose, in: .named(parameters.netns), on: loop) { session throws(BypassError) in
            switch parameters.state {
            case .on: try self.turnOn(parameters, for: peer, in: &session)
            case .off: try self.turnOff(parameters.netns, in: &session)
            }
        }
        // The answer goes first.
        done.whenComplete { result in loop.execute { self.log(result, parameters, peer) } }
        return done
    }

    /// Who did what to whom, for the journal.
    private func log(
        _ result: Result<BypassMethod.Result, any Error>, _ parameters: BypassMethod.Parameters,
        _ peer: Peer
    ) {
        let level: Logger.Level
        switch result {
        case .success(let result): level = result.changed ? .info : .debug
        case .failure: level = .notice
        }
        guard level >= logger.logLevel else { return }
        var fields: Logger.Metadata = [
            "netns": "\(parameters.netns)", "uid": "\(peer.credentials.uid)", "pid": "\(peer.credentials.pid)",
        ]
        if let owner = parameters.owner { fields["owner"] = "\(owner)" }
        if let reason = parameters.reason { fields["reason"] = "\(reason)" }
        let what = "bypass \(parameters.state.rawValue)"
        switch result {
        case .success(let result):
            fields["inode"] = "\(result.inode)"
            let warnings = result.warnings.map(\.code).joined(separator: ",")
            if !warnings.isEmpty { fields["warnings"] = "\(warnings)" }
            logger.log(level: level, "\(what)", metadata: fields)
        case .failure(let error):
            fields["error"] = "\(ErrorObject(error).message)"
            logger.log(level: level, "\(what) refused", metadata: fields)
        }
    }

    private func turnOn(
        _ parameters: BypassMethod.Parameters, for peer: Peer, in session: inout NamespaceSession
    ) throws(BypassError) -> BypassMethod.Result {
        let hooks = (parameters.direction ?? .both).hooks
        let deadline = parameters.ttl.map { Clock.boottime + UInt64($0) * 1_000_000_000 } ?? 0
        let outcome = try Reconciler.reconcile(.on(hooks, deadline: deadline), in: &session)
        watch(session.inode, deadline: deadline)

        let wasOn = outcome.before.entry?.isLive(at: outcome.before.now) ?? false
        let old = registry[session.inode]
        let record = Record(
            netns: parameters.netns, path: session.path, cookie: session.cookie,
            since: wasOn ? old?.since ?? .now : .now,
            owner: parameters.owner, reason: parameters.reason, setBy: .init(peer.credentials))
        var warnings: [Warning] = []
        if let warning = keep(record, of: session.inode) { warnings.append(warning) }
        let status = status(of: outcome.after, parameters.netns, in: &session, also: warnings)
        let changed = outcome.changed || old?.owner != record.owner || old?.reason != record.reason
        return BypassMethod.Result(status: status, changed: changed)
    }

    private func turnOff(
        _ netns: String, in session: inout NamespaceSession
    ) throws(BypassError) -> BypassMethod.Result {
        let outcome = try Reconciler.reconcile(.off, in: &session)
        registry.remove(session.inode)
        watch(session.inode, deadline: 0)
        return BypassMethod.Result(
            status: status(of: outcome.after, netns, in: &session), changed: outcome.changed)
    }

    /// What the method table cannot say.
    private static func refusal(_ parameters: BypassMethod.Parameters) -> BypassError? {
        // CLOCK_BOOTTIME in nanoseconds has to hold the deadline: a hundred years are enough.
        if let ttl = parameters.ttl, ttl > 3_155_760_000 {
            return .invalidParameter("ttl: must be 3155760000 (100 years) or less")
        }
        if parameters.state == .off {
            if parameters.direction != nil { return .invalidParameter("direction: goes with state on only") }
            if parameters.ttl != nil { return .invalidParameter("ttl: goes with state on only") }
        }
        return nil
    }
}

extension Direction {
    var hooks: Set<Hook> {
        switch self {
        case .both: [.prerouting, .output]
        case .inbound: [.prerouting]
        case .outbound: [.output]
        }
    }

    init?(_ hooks: Set<Hook>) {
        guard let direction = Self.allCases.first(where: { $0.hooks == hooks }) else { return nil }
        self = direction
    }
}

extension BypassStatus.Peer {
    init(_ caller: PeerCredentials) {
        self.init(uid: caller.uid, gid: caller.gid, pid: caller.pid)
    }
}
