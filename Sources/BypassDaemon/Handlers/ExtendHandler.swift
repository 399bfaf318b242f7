internal import Bypass
internal import BypassAPI
internal import BypassPolicy
internal import Datapath
internal import Linux
internal import NIOCore

extension Engine {
    /// `extend`: moves the end of a bypass, and nothing else.
    func extend(
        _ parameters: ExtendMethod.Parameters, for peer: Peer, on loop: any EventLoop
    ) -> EventLoopFuture<ExtendMethod.Result> {
        if let refusal = Self.refusal(ttl: parameters.ttl) { return loop.makeFailedFuture(refusal) }
        let began = BootClock.now
        let netns = parameters.netns
        // To give a bypass more time is to turn it on again as it is.
        let subject = Subject.named(netns, for: peer.credentials.uid) { found throws(BypassError) in
            let hooks = (self.registry[found.inode]?.direction ?? .both).hooks
            try self.access.check(found, netns: netns, for: peer, .on(hooks: hooks, ttl: parameters.ttl))
        }
        let done = withSession(.full, in: subject, on: loop) { session throws(BypassError) in
            try self.check(parameters.ifGeneration, netns, in: session)
            return try self.extend(netns, by: parameters.ttl, in: &session)
        }
        let record = AuditRecord(peer: peer, method: ExtendMethod.name, netns: netns)
        done.whenComplete { result in
            loop.execute { self.audit(result, record.taking(since: began)) }
        }
        return done
    }

    private func extend(
        _ netns: String, by seconds: Int, in session: inout NamespaceSession
    ) throws(BypassError) -> ExtendMethod.Result {
        let now = try state(of: session.inode)
        guard let old = registry[session.inode], let entry = now, entry.isLive(at: BootClock.now) else {
            throw .conflict("\(netns.asPartOfSentence) is not bypassed: there is nothing to extend, turn the bypass on")
        }
        let deadline = Self.deadline(after: seconds)
        var new = old
        if entry.deadline != 0 && entry.deadline < deadline {
            new.deadline = deadline
            new.generation = registry.nextGeneration()
        }
        // What was found without a record is one from now on.
        new.direction = Direction(entry.hooks)
        new.deadline = new.deadline ?? entry.deadline
        return try carryOut(new, insteadOf: old, isNew: new.generation != old.generation, netns, in: &session)
    }
}
