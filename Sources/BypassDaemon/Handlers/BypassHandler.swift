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
        let addresses = parameters.expectAddresses?.compactMap(IPAddress.init)
        let subject = Subject.named(parameters.netns, for: peer.credentials.uid, expecting: addresses) {
            found throws(BypassError) in try self.access.check(found, netns: parameters.netns, for: peer, wish)
        }
        let purpose: NamespaceSession.Purpose = parameters.state == .off ? .ownRules : .telling
        let done = withSession(purpose, in: subject, on: loop) { session throws(BypassError) in
            try self.check(parameters.ifGeneration, parameters.netns, in: session)
            try self.check(owner: parameters.ifOwner, parameters.netns, in: session)
            return switch parameters.state {
            case .on: try self.turnOn(parameters, for: peer, in: &session)
            case .off: try self.turnOff(parameters.netns, in: &session)
            }
        }
        // The answer goes first.
        let record = AuditRecord(
            peer: peer, method: "bypass \(parameters.state.rawValue)", netns: parameters.netns,
            owner: parameters.owner, reason: parameters.reason)
        done.whenComplete { result in
            loop.execute { self.audit(result, record.taking(since: began)) }
        }
        return done
    }

    /// Who did what to whom. That all is as it was needs no record.
    func audit(_ result: Result<BypassMethod.Result, any Error>, _ record: AuditRecord) {
        var record = record
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
        let direction = parameters.direction ?? .both
        let found = FoundNamespace(inode: session.inode, isHost: HostNamespace.inodes.contains(session.inode))
        let ttl =
            if let ttl = parameters.ttl {
                ttl
            } else {
                try access.defaultTTL(of: direction.hooks, in: found, netns: parameters.netns, for: peer)
            }
        let deadline = ttl.map(Self.deadline) ?? 0
        let old = registry[session.inode]
        let wasOn = try state(of: session.inode)?.isLive(at: Clock.boottime) ?? false
        let new = Record(
            netns: parameters.netns, path: session.path, cookie: session.cookie,
            since: wasOn ? old?.since ?? .now : .now, direction: direction, deadline: deadline,
            generation: registry.nextGeneration(), owner: parameters.owner, reason: parameters.reason,
            setBy: .init(peer.credentials))
        if wasOn, let old, old.wishesTheSame(as: new) {
            return try carryOut(old, insteadOf: old, isNew: false, parameters.netns, in: &session)
        }
        return try carryOut(new, insteadOf: old, isNew: true, parameters.netns, in: &session)
    }

    /// Makes what a record says true, and tells.
    ///
    /// - Parameters:
    ///   - old: what there was before, and is again if this fails.
    ///   - isNew: whether anybody would notice a difference even if the kernel has nothing to do.
    func carryOut(
        _ record: Record, insteadOf old: Record?, isNew: Bool, _ netns: String, in session: inout NamespaceSession
    ) throws(BypassError) -> BypassMethod.Result {
        let inode = session.inode
        // Before anything is on: whatever happens to the daemon, it is known who wanted it.
        let warnings = [keep(record, of: inode)].compactMap(\.self)
        let outcome: Reconciler.Outcome
        do throws(BypassError) {
            outcome = try Reconciler.reconcile(record.wish, in: &session)
        } catch {
            if let old { keep(old, of: inode) } else { registry.remove(inode) }
            throw error
        }
        watch(inode, deadline: record.deadline ?? 0)
        conditions.noteWhole(inode)
        let status = status(of: outcome.after, netns, in: &session, also: warnings)
        let changed = isNew || outcome.changed
        if changed { events.publish(.on, status) }
        return BypassMethod.Result(status: status, changed: changed)
    }

    /// Ends the bypass of a namespace, whoever wanted it.
    func turnOff(_ netns: String, in session: inout NamespaceSession) throws(BypassError) -> BypassMethod.Result {
        let outcome = try Reconciler.reconcile(.off, in: &session)
        let wasKnown = registry[session.inode] != nil
        if wasKnown || outcome.changed { registry.end(session.inode, cookie: session.cookie) }
        forget(session.inode)
        let status = status(of: outcome.after, netns, in: &session)
        if wasKnown { events.publish(.off, status) }
        return BypassMethod.Result(status: status, changed: outcome.changed)
    }

    /// A namespace's entry in the matcher's map.
    func state(of inode: UInt64) throws(BypassError) -> Entry? {
        do throws(SystemCallError) {
            return try matcher.state(of: inode)
        } catch {
            throw BypassError(error)
        }
    }

    /// A decision that was made on what is no longer so is not carried out.
    func check(
        _ generation: Int?, _ netns: String, in session: borrowing NamespaceSession
    ) throws(BypassError) {
        let current = registry.generation(of: session.inode, cookie: session.cookie)
        guard let generation, generation != current else { return }
        throw .conflict(
            "\(netns.asPartOfSentence) is at generation \(current), not \(generation): somebody has decided about it "
                + "meanwhile, ask for its status again")
    }

    /// What somebody else wants is not touched by who has asked for that.
    private func check(
        owner: String?, _ netns: String, in session: borrowing NamespaceSession
    ) throws(BypassError) {
        guard let owner, let record = registry[session.inode], record.owner != owner,
            try state(of: session.inode)?.isLive(at: Clock.boottime) == true
        else { return }
        throw .conflict(
            "\(record.owner?.asPartOfSentence ?? "somebody else") has bypassed \(netns.asPartOfSentence) already: nothing "
                + "is done before that bypass ends")
    }

    /// CLOCK_BOOTTIME in nanoseconds, so many seconds from now.
    static func deadline(after seconds: Int) -> UInt64 { Clock.boottime + UInt64(seconds) * 1_000_000_000 }

    /// CLOCK_BOOTTIME in nanoseconds has to hold the deadline: a hundred years are enough.
    static func refusal(ttl: Int) -> BypassError? {
        ttl > TimeToLive.maxSeconds
            ? .invalidParameter("ttl: must be \(TimeToLive.maxSeconds) (100 years) or less") : nil
    }

    /// What the method table cannot say.
    private static func refusal(_ parameters: BypassMethod.Parameters) -> BypassError? {
        if let refusal = parameters.ttl.flatMap(refusal) { return refusal }
        if let addresses = parameters.expectAddresses {
            if addresses.isEmpty { return .invalidParameter("expectAddresses: name at least one address") }
            if let wrong = addresses.first(where: { IPAddress($0) == nil }) {
                return .invalidParameter("expectAddresses: \(wrong.asPartOfSentence) is no IPv4 or IPv6 address")
            }
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

extension Record {
    /// What the kernel has to do for it. One that was found without a record is not carried out, but looked after.
    fileprivate var wish: Wish { .on((direction ?? .both).hooks, deadline: deadline ?? 0) }
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
