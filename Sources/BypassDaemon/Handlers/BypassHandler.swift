internal import Bypass
internal import BypassAPI
internal import BypassKernel
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
        let began = Clock.boottime
        let wish = Change.Wish(parameters)
        let subject = Subject.named(parameters.netns, for: peer.credentials.uid) { found throws(BypassError) in
            try self.access.check(found, netns: parameters.netns, for: peer, wish)
        }
        let purpose: NamespaceSession.Purpose = parameters.state == .off ? .removing : .telling
        let done = withSession(purpose, in: subject, on: loop) { session throws(BypassError) in
            switch parameters.state {
            case .on: try self.turnOn(parameters, for: peer, in: &session)
            case .off: try self.turnOff(parameters.netns, in: &session)
            }
        }
        // The answer goes first.
        done.whenComplete { result in
            loop.execute { self.audit(result, parameters, peer, since: began) }
        }
        return done
    }

    /// Who did what to whom. That all is as it was needs no record.
    private func audit(
        _ result: Result<BypassMethod.Result, any Error>, _ parameters: BypassMethod.Parameters, _ peer: Peer,
        since began: UInt64
    ) {
        var record = AuditRecord(
            peer: peer, method: "bypass \(parameters.state.rawValue)", netns: parameters.netns,
            owner: parameters.owner, reason: parameters.reason
        ).taking(since: began)
        switch result {
        case .success(let result):
            if !result.changed { return }
            record.inode = result.inode
            record.warnings = result.warnings.map(\.code)
            access.audit.note(record)
        case .failure(let error):
            access.audit.note(record.failing(with: error))
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
        let outcome = try turnOff(in: &session)
        return BypassMethod.Result(
            status: status(of: outcome.after, netns, in: &session), changed: outcome.changed)
    }

    /// Ends the bypass of a namespace, whoever wanted it.
    func turnOff(in session: inout NamespaceSession) throws(BypassError) -> Reconciler.Outcome {
        let outcome = try Reconciler.reconcile(.off, in: &session)
        registry.remove(session.inode)
        watch(session.inode, deadline: 0)
        return outcome
    }

    /// What the method table cannot say.
    private static func refusal(_ parameters: BypassMethod.Parameters) -> BypassError? {
        // CLOCK_BOOTTIME in nanoseconds has to hold the deadline: a hundred years are enough.
        if let ttl = parameters.ttl, ttl > TimeToLive.longest {
            return .invalidParameter("ttl: must be \(TimeToLive.longest) (100 years) or less")
        }
        if parameters.state == .off {
            if parameters.direction != nil { return .invalidParameter("direction: goes with state on only") }
            if parameters.ttl != nil { return .invalidParameter("ttl: goes with state on only") }
        }
        return nil
    }
}

extension Change.Wish {
    fileprivate init(_ parameters: BypassMethod.Parameters) {
        switch parameters.state {
        case .on: self = .on(hooks: (parameters.direction ?? .both).hooks, ttl: parameters.ttl)
        case .off: self = .off
        }
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
