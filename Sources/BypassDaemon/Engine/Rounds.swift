internal import Bypass
internal import Datapath
internal import JSONRPC
internal import Logging
internal import NIOCore
internal import Synchronization

/// Goes from bypass to bypass, and begins anew: whether its namespace is still there, whether its rules still stand, and
/// whether the pins do.
///
/// A look at a namespace of which nothing has changed is a socket in it and one question, for the generation of its
/// ruleset. Nothing is kept open in between: a socket, or a descriptor of the namespace, would keep it alive.
final class Rounds: Sendable {
    private let engine: Engine
    /// What is left of the round.
    private let rest = Mutex<ArraySlice<(inode: UInt64, record: Record)>>([])
    private let isOver = Atomic(false)

    /// In which every bypass is looked at once.
    private let period: TimeAmount
    /// Between two steps of a round, so that many bypasses do not wake the daemon for each.
    private static let shortestPause = TimeAmount.milliseconds(100)

    init(_ engine: Engine, seconds: Int) {
        self.engine = engine
        period = .seconds(Int64(seconds))
    }

    func start() {
        engine.adopted.whenComplete { _ in self.begin() }
    }

    /// Nothing new is begun.
    func stop() { isOver.store(true, ordering: .relaxed) }

    private func begin() {
        if isOver.load(ordering: .relaxed) { return }
        let all = engine.registry.all
        rest.withLock { $0 = all[...] }
        if all.isEmpty {
            engine.background.scheduleTask(in: period) { self.begin() }
            return
        }
        let steps = min(Int64(all.count), period.nanoseconds / Self.shortestPause.nanoseconds)
        let pause = TimeAmount.nanoseconds(period.nanoseconds / steps)
        engine.checkPins().whenComplete { _ in self.step((all.count + Int(steps) - 1) / Int(steps), pause) }
    }

    /// Looks at some, and comes back. However long that takes, there is one step at a time.
    private func step(_ count: Int, _ pause: TimeAmount) {
        if isOver.load(ordering: .relaxed) { return }
        let (some, isLast) = rest.withLock { rest in
            defer { rest = rest.dropFirst(count) }
            return (Array(rest.prefix(count)), rest.count <= count)
        }
        let looks = some.map { inode, record in engine.inspect(inode, record) }
        EventLoopFuture.whenAllComplete(looks, on: engine.background).whenComplete { _ in
            self.engine.background.scheduleTask(in: pause) {
                if isLast { self.begin() } else { self.step(count, pause) }
            }
        }
    }
}

extension Engine {
    /// Looks whether a bypass needs care, and takes care of it if so.
    fileprivate func inspect(_ inode: UInt64, _ record: Record) -> EventLoopFuture<Void> {
        let look = withSession(.ownRules, in: .bypassed(inode, record), on: background) {
            session throws(BypassError) -> Bool in
            guard var record = self.registry[inode] else { return true }
            if record.path != session.path {
                // Its name has gone, and it was found by another: the next look is quick again.
                record.path = session.path
                self.keep(record, of: inode)
            }
            let observation = try Reconciler.observe(&session)
            return record.care(given: observation) == .nothing && !self.conditions[inode].isDegraded
                && !session.isOtherNamespace(by: observation)
        }
        return look.flatMapWithEventLoop { isWell, loop in
            isWell ? loop.makeSucceededVoidFuture() : self.care(for: inode, record)
        }.flatMapError { error in
            // What cannot be looked at now is looked at again in the next round.
            guard case BypassError.netnsNotFound = error else { return self.background.makeSucceededVoidFuture() }
            return self.noteGone(inode, record)
        }
    }

    /// Puts pins back that somebody has taken away: rules that are made from now on need them, and so does everybody who
    /// uses `iptables` beside them.
    fileprivate func checkPins() -> EventLoopFuture<Void> {
        outside {
            do throws(MatcherError) {
                if try self.matcher.ensurePinned() {
                    self.logger.warning("a pin had gone, and was put back", metadata: ["pin": "\(self.matcher.pin)"])
                }
                self.status.trouble(nil, on: self.background)
            } catch {
                let trouble = "the pins cannot be put back: \(ErrorObject(BypassError(error)).message)"
                if self.status.trouble(trouble, on: self.background) { self.logger.error("\(trouble)") }
            }
        }
    }
}
