internal import Bypass
internal import BypassAPI
internal import BypassPolicy
internal import Datapath
internal import Linux
internal import Logging

/// The verbs: on, off, extend, status, list and clear. Each is executed on the calling thread, from the decision whether
/// the caller may to what then is; the server and the maintenance only call them.
final class BypassManager: Sendable {
    let executor: NamespaceExecutor
    let transition: Transition
    let authorizer: Authorizer
    let matcher: Matcher
    let metrics: DaemonMetrics
    let logger: Logger
    let lists = SharedCall<EncodedResult>()
    let priorityLists = SharedCall<EncodedResult>()
    let traces = RunningTraces()

    var store: BypassStore { transition.store }

    init(
        executor: NamespaceExecutor, transition: Transition, authorizer: Authorizer, matcher: Matcher,
        metrics: DaemonMetrics, logger: Logger
    ) {
        self.executor = executor
        self.transition = transition
        self.authorizer = authorizer
        self.matcher = matcher
        self.metrics = metrics
        self.logger = logger
    }

    /// The records of bypasses.
    struct Request {
        var netns: String
        var peer: Peer
        /// The generation that the caller's decision was made on.
        var ifGeneration: Int?
        /// The only owner whose bypass may be changed.
        var ifOwner: String?
        /// The namespace must have one of these addresses.
        var expecting: [IPAddress]?
        var owner: String?
        var reason: String?
        /// The connections that the bypass is to be for.
        var scope = Scope.all
        /// Whether `off` removes rules of other programs that keep redirects from taking effect.
        var removesForeign = false

        init(_ netns: String, by peer: Peer) {
            self.netns = netns
            self.peer = peer
        }

        /// Of an end that it asks for.
        var cause: BypassEvent.Cause { .init(by: .init(peer.credentials), owner: owner, reason: reason) }
    }

    // MARK: verbs

    /// Turns a bypass on, or replaces its direction, scope, ttl, owner and reason.
    ///
    /// - Parameters:
    ///   - ttl: in seconds; nil for what the policy has for a caller that does not say.
    ///   - connections: what happens to those that stay in the proxy.
    func turnOn(
        _ request: Request, _ direction: Direction, ttl: Int?, _ connections: OpenConnections,
        _ after: inout AfterAnswer
    ) throws(BypassError) -> BypassMethod.Result {
        let turn = try turn(for: request)
        defer { turn.end() }
        let permit = try authorizer.authorize(
            .on(hooks: direction.hooks, scope: request.scope, ttl: ttl), in: turn.resolved, netns: request.netns,
            by: request.peer)
        var session = try enter(turn, .full, for: request, &after)
        session.retryMask()
        let old = store[session.inode]
        let wasOn = try session.entry()?.isLive(at: BootClock.now) ?? false
        var new = BypassRecord(
            netns: request.netns, path: session.path, cookie: session.cookie,
            since: wasOn ? old?.since ?? .now : .now, direction: direction, only: request.scope.only,
            except: request.scope.except, cgroup: request.scope.cgroup, deadline: permit.ttl.map(Self.deadline) ?? 0,
            generation: store.nextGeneration(),
            owner: request.owner, reason: request.reason, setBy: .init(request.peer.credentials))
        if new.except == nil { new.exempted = old?.exempted }
        let isNew = !wasOn || old?.desiresTheSame(as: new) != true
        let result = try apply(
            isNew ? new : old ?? new, insteadOf: old, isNew: isNew, connections, request.netns, turn, &session, &after)
        watchMask(in: &session, &after)
        return result
    }

    /// Ends the bypass of a namespace, whatever its owner.
    ///
    /// - Parameter connections: what happens to those that stay past the proxy.
    func turnOff(
        _ request: Request, _ connections: OpenConnections, _ after: inout AfterAnswer
    ) throws(BypassError) -> BypassMethod.Result {
        let turn = try turn(for: request)
        defer { turn.end() }
        _ = try authorizer.authorize(.off, in: turn.resolved, netns: request.netns, by: request.peer)
        // With iptables-legacy's rules: a redirect in front of which another program's RETURN stands is reported.
        var session = try enter(turn, .redirects, for: request, &after)
        return try turnOff(
            request.netns, connections, because: request.cause, removesForeign: request.removesForeign, in: &session,
            &after)
    }

    /// Moves the end of a bypass, and nothing else: it never expires sooner by this.
    func extend(
        _ request: Request, by seconds: Int, _ after: inout AfterAnswer
    ) throws(BypassError) -> ExtendMethod.Result {
        let turn = try turn(for: request)
        defer { turn.end() }
        // To give a bypass more time is to turn it on again as it is.
        let current = store[turn.namespace.inode]
        _ = try authorizer.authorize(
            .on(hooks: (current?.direction ?? .both).hooks, scope: current?.scope ?? .all, ttl: seconds),
            in: turn.resolved, netns: request.netns, by: request.peer)
        var session = try enter(turn, .full, for: request, &after)
        let now = try session.entry()
        guard let entry = now, entry.isLive(at: BootClock.now) else {
            throw .conflict(
                "\(request.netns.asPartOfSentence) is not bypassed: there is nothing to extend, turn the bypass on")
        }
        let deadline = Self.deadline(after: seconds)
        // What an earlier daemon left may not have a record yet.
        let old =
            store[session.inode]
            ?? BypassRecord(netns: request.netns, path: session.path, cookie: session.cookie, since: .now)
        var new = old
        if entry.deadline != 0 && entry.deadline < deadline {
            new.deadline = deadline
            new.generation = store.nextGeneration()
        }
        // What was found without a record has one from now on.
        new.direction = Direction(entry.hooks)
        let scope = old.requested(entry.scope)
        (new.only, new.except, new.cgroup) = (scope.only, scope.except, scope.cgroup)
        new.deadline = new.deadline ?? entry.deadline
        let isNew = new.generation != old.generation
        return try apply(new, insteadOf: old, isNew: isNew, .keep, request.netns, turn, &session, &after)
    }

    /// The state of one namespace.
    func status(_ request: Request, _ after: inout AfterAnswer) throws(BypassError) -> BypassStatus {
        let turn = try turn(for: request)
        defer { turn.end() }
        try authorizer.authorizeRead(turn.resolved, netns: request.netns, by: request.peer)
        var session = try enter(turn, .full, for: request, &after)
        let observation = try Reconciler.observe(&session)
        return status(of: observation, request.netns, in: &session, lookingForListeners: true)
    }

    /// Ends every bypass, or every one of an owner's. A failure does not stop the rest.
    func clear(owner: String?, by peer: Peer, _ after: inout AfterAnswer) -> ClearMethod.Result {
        let principal = principal(of: peer)
        var result = ClearMethod.Result(cleared: [], failed: [])
        for (inode, record) in store.all where owner == nil || record.owner == owner {
            let began = Instant.now
            let audited = AuditRecord(
                peer: peer, method: ClearMethod.name, netns: record.netns, inode: inode, scope: record.scope ?? .all,
                owner: record.owner)
            do throws(BypassError) {
                let cause = BypassEvent.Cause(by: .init(peer.credentials))
                guard try turnOff(inode, record, of: owner, because: cause, as: principal, &after) else { continue }
                transition.complete(audited.taking(since: began), &after)
                result.cleared.append(.init(netns: record.netns, inode: inode))
            } catch {
                if case .netnsNotFound = error {
                    handleRemoved(inode, record, as: principal, &after)
                    result.cleared.append(.init(netns: record.netns, inode: inode))
                    continue
                }
                let failed = audited.failing(with: error).taking(since: began)
                transition.complete(failed, &after)
                result.failed.append(.init(netns: record.netns, inode: inode, message: failed.error ?? ""))
            }
        }
        return result
    }

    // MARK: steps

    /// Executes a change, and audits what came of it. That everything was already as it was asked to be needs no record.
    func audited(
        _ request: Request, as method: String, _ after: inout AfterAnswer,
        _ change: (inout AfterAnswer) throws(BypassError) -> BypassMethod.Result
    ) throws(BypassError) -> BypassMethod.Result {
        let began = Instant.now
        var record = AuditRecord(
            peer: request.peer, method: method, netns: request.netns, scope: request.scope, owner: request.owner,
            reason: request.reason)
        do throws(BypassError) {
            let result = try change(&after)
            if result.changed || result.ended > 0 {
                record.inode = result.inode
                record.warnings = result.warnings.map(\.code)
                record.removed = result.removed
                transition.complete(record.taking(since: began), &after)
            }
            return result
        } catch {
            transition.complete(record.failing(with: error).taking(since: began), &after)
            throw error
        }
    }

    private func turn(for request: Request) throws(BypassError) -> NamespaceTurn {
        let principal = principal(of: request.peer)
        do throws(BypassError) {
            return try executor.turn(
                in: .named(request.netns, uid: request.peer.credentials.uid, expecting: request.expecting),
                as: principal)
        } catch {
            // Without a pause container (CRI-O), a pod has no process between two restarts of its containers. Its namespace
            // and its bypass remain.
            guard error.meansNoProcess, case .workload = NamespaceReference(request.netns),
                let (inode, record) = store.all.first(where: { $0.record.netns == request.netns })
            else { throw error }
            do throws(BypassError) {
                return try executor.turn(in: .known(inode, record), as: principal)
            } catch .netnsNotFound {
                throw error
            }
        }
    }

    /// Enters a namespace after the decision, and checks the conditions that the client makes.
    private func enter(
        _ turn: borrowing NamespaceTurn, _ detail: NamespaceSession.Detail, for request: Request,
        _ after: inout AfterAnswer
    ) throws(BypassError) -> NamespaceSession {
        if let addresses = request.expecting { try turn.expect(addresses, named: request.netns) }
        let session = try turn.enter(detail)
        dropStaleRecord(session, &after)
        try checkGeneration(request, in: session)
        try checkOwner(request, in: session)
        return session
    }

    /// - Returns: false if the bypass has ended meanwhile, or another owner has it.
    private func turnOff(
        _ inode: UInt64, _ record: BypassRecord, of owner: String?, because cause: BypassEvent.Cause,
        as principal: FairScheduler.Principal, _ after: inout AfterAnswer
    ) throws(BypassError) -> Bool {
        let turn = try executor.turn(in: .known(inode, record), as: principal)
        defer { turn.end() }
        var session = try turn.enter(.ownRules)
        dropStaleRecord(session, &after)
        guard let current = store[inode], owner == nil || current.owner == owner else { return false }
        _ = try turnOff(record.netns, .keep, because: cause, in: &session, &after)
        return true
    }

    private func turnOff(
        _ netns: String, _ connections: OpenConnections, because cause: BypassEvent.Cause, removesForeign: Bool = false,
        in session: inout NamespaceSession, _ after: inout AfterAnswer
    ) throws(BypassError) -> BypassMethod.Result {
        var ending = try end(netns, in: &session)
        let foreign = removesForeign ? removeForeignBypasses(netns, &ending, in: &session) : ForeignRemoval()
        let record = store[session.inode]
        let strays = settleFlows(after: ending, of: foreign.removed, connections, in: &session)
        var status = status(of: ending.after, netns, in: &session, strays: strays)
        // Not each end has read the redirects.
        status.redirected = nil
        status.warnings += foreign.warnings.map(BypassStatus.Warning.init)
        let removed = foreign.removed.map(\.description)
        if record != nil || ending.changed {
            transition.end(
                .off, session.inode, record, cookie: session.cookie, status: &status, cause: cause, removed: removed,
                audit: nil, &after)
        }
        return BypassMethod.Result(status: status, changed: ending.changed, ended: strays.ended, removed: removed)
    }

    func principal(of peer: Peer) -> FairScheduler.Principal {
        authorizer.hasPriority(peer) ? .priority(peer.account) : .account(peer.account)
    }

    /// CLOCK_BOOTTIME in nanoseconds, so many seconds from now.
    private static func deadline(after seconds: Int) -> UInt64 { (Instant.now + .seconds(seconds)).nanoseconds }
}

extension BypassError {
    /// Of a pod or container: it has no process, or none but some of the host's.
    fileprivate var meansNoProcess: Bool {
        switch self {
        case .netnsNotFound, .hostNetnsRefused: true
        default: false
        }
    }
}
