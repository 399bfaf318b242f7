internal import Bypass
internal import BypassAPI
internal import Datapath
internal import Linux
internal import NIOCore

extension Engine {
    /// `clear`: ends what the registry knows of, each bypass on its own.
    func clear(
        _ parameters: ClearMethod.Parameters, for peer: Peer, on loop: any EventLoop
    ) -> EventLoopFuture<ClearMethod.Result> {
        let chosen = registry.all.filter { parameters.owner == nil || $0.record.owner == parameters.owner }
        let ends = chosen.map { inode, record in end(inode, record, for: peer, on: loop) }
        return EventLoopFuture.whenAllSucceed(ends, on: loop).map { outcomes in
            // By inode, since the registry's list is.
            var result = ClearMethod.Result(cleared: [], failed: [])
            for outcome in outcomes {
                switch outcome {
                case .success(let cleared): result.cleared.append(cleared)
                case .failure(let failure): result.failed.append(failure.value)
                }
            }
            return result
        }
    }

    private struct StillBypassed: Error {
        let value: ClearMethod.Result.Failure
    }

    private func end(
        _ inode: UInt64, _ record: Record, for peer: Peer, on loop: any EventLoop
    ) -> EventLoopFuture<Result<ClearMethod.Result.Cleared, StillBypassed>> {
        let began = BootClock.now
        let cleared = ClearMethod.Result.Cleared(netns: record.netns, inode: inode)
        let audited = AuditRecord(
            peer: peer, method: ClearMethod.name, netns: record.netns, inode: inode, owner: record.owner)
        let ended = withSession(.ownRules, in: .bypassed(inode, record), on: loop) { session throws(BypassError) in
            try self.turnOff(record.netns, in: &session)
        }
        return ended.map { _ in
            self.access.audit.note(audited.taking(since: began))
            return .success(cleared)
        }.flatMapErrorWithEventLoop { error, loop in
            if case BypassError.netnsNotFound = error {
                return self.noteGone(inode, record).hop(to: loop).map { .success(cleared) }
            }
            let failed = audited.failing(with: error).taking(since: began)
            self.access.audit.note(failed)
            let still = ClearMethod.Result.Failure(netns: record.netns, inode: inode, message: failed.error ?? "")
            return loop.makeSucceededFuture(.failure(StillBypassed(value: still)))
        }
    }
}
