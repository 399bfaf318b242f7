internal import Bypass
internal import BypassAPI
internal import Datapath
internal import Linux
internal import NIOCore
internal import Netfilter

extension Engine {
    /// `status`: looks, and tells.
    func status(
        _ parameters: StatusMethod.Parameters, for peer: Peer, on loop: any EventLoop
    ) -> EventLoopFuture<BypassStatus> {
        let netns = parameters.netns
        let subject = Subject.named(netns, for: peer.credentials.uid) { found throws(BypassError) in
            try self.access.check(found, netns: netns, for: peer)
        }
        return withSession(.full, in: subject, on: loop) { session throws(BypassError) in
            let observation = try Reconciler.observe(&session)
            return self.status(of: observation, parameters.netns, in: &session)
        }
    }

    /// The object of the contract.
    ///
    /// - Parameters:
    ///   - countingConnections: whether to look for connections that are older than the bypass.
    ///   - additional: warnings that the observation does not show.
    func status(
        of observation: Observation, _ netns: String, in session: inout NamespaceSession,
        countingConnections: Bool = true, also additional: [Warning] = []
    ) -> BypassStatus {
        let assessment = Health(observation)
        var status = BypassStatus(
            netns: netns, inode: session.inode, state: assessment.state, effective: assessment.effective,
            generation: registry.generation(of: session.inode, cookie: session.cookie),
            rules: session.rules.map(BypassStatus.Rule.init).sorted {
                ($0.family, $0.chain, $0.handle) < ($1.family, $1.chain, $1.handle)
            })
        var warnings = assessment.warnings + additional
        if assessment.state == .degraded, let warning = contest(session.inode, at: observation.now) {
            warnings.append(warning)
        }
        if let entry = observation.entry, assessment.state != .off {
            let record = registry[session.inode]
            status.direction = Direction(entry.hooks)
            status.expiresAt = Self.moment(ofDeadline: entry.deadline)
            status.since = record?.since
            status.owner = record?.owner
            status.reason = record?.reason
            status.setBy = record?.setBy
            let isIntercepted = observation.redirects.contains { entry.hooks.contains($0.hook) }
            if countingConnections, isIntercepted, let warning = session.establishedConnections() {
                warnings.append(warning)
            }
        }
        status.warnings = warnings.map(BypassStatus.Warning.init)
        return status
    }

    /// That the daemon lets another program have its way for a while, if it does.
    private func contest(_ inode: UInt64, at now: UInt64) -> Warning? {
        let next = conditions[inode].pace.next
        return next > now ? .contested(seconds: Int((next - now) / 1_000_000_000) + 1) : nil
    }

    /// What CLOCK_BOOTTIME's `deadline` is on the wall clock; nil for none.
    private static func moment(ofDeadline deadline: UInt64) -> Timestamp? {
        guard deadline != 0 else { return nil }
        let left = Int64(clamping: deadline) - Int64(clamping: BootClock.now)
        return Timestamp(secondsSince1970: (WallClock.now + left) / 1_000_000_000)
    }
}

extension NamespaceSession {
    /// nil if there are none.
    fileprivate mutating func establishedConnections() -> Warning? {
        let count = redirectedConnections()
        return count == 0 ? nil : .establishedConnections(count)
    }
}

extension BypassStatus.Rule {
    fileprivate init(_ rule: Ruleset.Rule) {
        self.init(
            family: rule.chain.family.name, table: rule.chain.table, chain: rule.chain.chain, handle: rule.handle,
            packets: rule.counted.packets, bytes: rule.counted.bytes)
    }
}
