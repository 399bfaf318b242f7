internal import Bypass
internal import BypassAPI
internal import Datapath
internal import JSONRPC
internal import Linux
internal import Netfilter
internal import StrictJSON
internal import Synchronization

extension BypassManager {
    /// The object of the contract.
    ///
    /// - Parameters:
    ///   - strays: flows that take another way than new ones would; nil to count them now.
    ///   - countingConnections: false for a status without them.
    ///   - lookingForListeners: whether to look for a proxy that is reached without a redirect. No change waits for that.
    func status(
        of observation: Observation, _ netns: String, in session: inout NamespaceSession,
        strays: StrayFlows? = nil, countingConnections: Bool = true, lookingForListeners: Bool = false
    ) -> BypassStatus {
        let health = Health(observation)
        var status = BypassStatus(
            netns: netns, inode: session.inode, state: health.state, effective: health.effective,
            effect: health.effect, redirected: observation.isRedirected,
            generation: store.generation(of: session.inode, cookie: session.cookie),
            rules: session.rules.map(BypassStatus.Rule.init).sorted {
                ($0.family, $0.chain, $0.handle) < ($1.family, $1.chain, $1.handle)
            })
        var warnings = health.warnings
        if health.state == .degraded, let warning = contest(session.inode, at: observation.now) {
            warnings.append(warning)
        }
        if health.state == .off {
            warnings += transition.leftovers.warnings(of: session.inode, cookie: session.cookie)
            status.expired = store.expired(in: session.inode, cookie: session.cookie).map {
                .init(at: $0.at, owner: $0.owner)
            }
        } else if let entry = observation.entry {
            let record = store[session.inode]
            status.direction = Direction(entry.hooks)
            let scope = record?.requested(entry.scope) ?? entry.scope
            (status.only, status.except, status.cgroup) = (scope.only, scope.except, scope.cgroup)
            status.expiresAt = Timestamp(deadline: entry.deadline)
            status.since = record?.since
            status.owner = record?.owner
            status.reason = record?.reason
            status.setBy = record?.setBy
            if let error = store.writeError(of: session.inode) { warnings.append(.notRecorded("\(error)")) }
            if lookingForListeners, entry.hooks.contains(.prerouting), let warning = session.hboneWarning() {
                warnings.append(warning)
            }
        }
        if countingConnections {
            let strays = strays ?? countFlows(observation, in: &session)
            warnings += Self.warnings(of: strays, netns, status)
        }
        status.warnings = warnings.map(BypassStatus.Warning.init)
        return status
    }

    /// The last known state of a bypass whose namespace cannot be read now.
    func lastKnownStatus(_ inode: UInt64, _ record: BypassRecord, since reason: String) -> BypassStatus {
        var status =
            transition.events[inode]
            ?? BypassStatus(
                netns: record.netns, inode: inode, state: .degraded, effective: false,
                direction: record.direction, only: record.only, except: record.except, cgroup: record.cgroup,
                since: record.since, owner: record.owner, reason: record.reason, setBy: record.setBy,
                generation: store.generation(of: inode, cookie: record.cookie))
        status.state = .degraded
        status.effective = false
        status.effect = .ineffective
        status.warnings = [.init(.unseen(reason))]
        return status
    }

    /// The warning that the daemon leaves a damaged bypass to another program for a while, if it does.
    func contest(_ inode: UInt64, at now: UInt64) -> Bypass.Warning? {
        let next = transition.repairs[inode].nextAttempt
        return next > now ? .contested(seconds: Int((next - now) / 1_000_000_000) + 1) : nil
    }

    // MARK: list

    /// The status of every bypassed namespace. One list serves all who ask before it is begun; but root and `priority`
    /// accounts do not wait for the list of others.
    func list(for peer: Peer) -> EncodedResult {
        let hasPriority = if case .priority = principal(of: peer) { true } else { false }
        return (hasPriority ? priorityLists : lists).run {
            let list = list(as: .list(priority: hasPriority))
            return EncodedResult(capacity: list.byteCount + 2048) {
                ListMethod.Result.writeMembers(list, list.warnings, to: &$0)
            }
        }
    }

    /// With many, the processors share the work.
    private func list(as principal: FairScheduler.Principal) -> StatusList {
        let all = store.all
        let list = Mutex(StatusList())
        let next = Atomic(0)
        Thread.inParallel(all.count < Self.longList ? 1 : 2, named: "list") {
            // Each thread takes the lock rarely: one that has waited for a lock may be woken on the other one's processor, and
            // stay there.
            var (part, isFull) = (StatusList(), false)
            while true {
                let index = next.wrappingAdd(1, ordering: .relaxed).oldValue
                let isAtEnd = index >= all.count
                if isAtEnd || part.byteCount >= Self.partSize {
                    isFull = list.withLock { list in
                        part.move(to: &list)
                        return list.isFull
                    }
                }
                if isAtEnd { break }
                if isFull {
                    part.omit()
                } else if let status = self.currentStatus(all[index].inode, all[index].record, as: principal),
                    status.state != .off
                {
                    part.add(status)
                }
            }
        }
        return list.withLock(\.self)
    }

    /// What a thread gathers of a list before it adds it to what the others have.
    private static let partSize = 64 << 10

    private static let longList = 16

    /// nil if the namespace has gone.
    private func currentStatus(
        _ inode: UInt64, _ record: BypassRecord, as principal: FairScheduler.Principal
    ) -> BypassStatus? {
        var after = AfterAnswer()
        defer { after.run() }
        do throws(BypassError) {
            let turn = try executor.turn(in: .known(inode, record), as: principal)
            defer { turn.end() }
            var session = try turn.enter(.full)
            dropStaleRecord(session, &after)
            let observation = try Reconciler.observe(&session)
            return status(of: observation, record.netns, in: &session, countingConnections: false).brief
        } catch {
            if case .netnsNotFound = error {
                handleRemoved(inode, record, as: principal, &after)
                return nil
            }
            // What the matcher has ended is off, and is cleaned up later.
            if let entry = try? matcher.entry(of: inode), !entry.isLive(at: BootClock.now) { return nil }
            // A namespace that cannot be read does not hide the others, nor is it hidden.
            return lastKnownStatus(inode, record, since: ErrorObject(error).message)
        }
    }
}

extension NamespaceSession {
    /// nil if no proxy listens for HBONE.
    func hboneWarning() -> Bypass.Warning? {
        do throws(NetfilterError) {
            return try hasListener(on: HBONE.port) ? .hbone(unknown: nil) : nil
        } catch {
            guard case .systemCall(let cause) = error else { return .hbone(unknown: "\(error)") }
            return .hbone(unknown: "\(cause)")
        }
    }
}

extension BypassStatus.Rule {
    fileprivate init(_ rule: Ruleset.CountedRule) {
        self.init(
            family: rule.chain.family.name, table: rule.chain.table, chain: rule.chain.chain, handle: rule.handle,
            packets: rule.packets, bytes: rule.bytes)
    }
}

extension BypassStatus {
    /// With at most 1 KiB of warnings: as part of a list of all bypasses, of which a user can have thousands.
    var brief: BypassStatus {
        var (bytes, brief) = (0, self)
        brief.warnings = warnings.filter { warning in
            bytes += warning.message.utf8.count
            return bytes <= 1024
        }
        let left = warnings.count - brief.warnings.count
        if left > 0 { brief.warnings.append(.init(.truncated(left))) }
        return brief
    }
}

extension BypassStatus.Peer {
    init(_ credentials: PeerCredentials) {
        self.init(uid: credentials.uid, gid: credentials.gid, pid: credentials.pid)
    }
}

extension Timestamp {
    static var now: Timestamp { Timestamp(secondsSince1970: WallClock.now / 1_000_000_000) }
}
