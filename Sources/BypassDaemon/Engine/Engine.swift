internal import Bypass
internal import BypassAPI
internal import BypassKernel
internal import Linux
internal import Logging
internal import Matcher
internal import NIOCore
internal import NIOPosix

/// Carries out what clients ask of namespaces, on threads of its own: one hop there and one back for each call.
///
/// Work on one namespace is serial. Work on different ones runs side by side, on whichever thread is free.
final class Engine: Sendable {
    let matcher: Matcher
    let registry: Registry
    private let lanes = NamespaceLanes()
    private let views = NamespaceViews()
    private let deadlines: Deadlines
    private let parkingLot: ParkingLot
    private let threads: NIOThreadPool
    /// Where nobody waits: sockets are closed here, and bypasses end here by themselves.
    private let background: any EventLoop
    let access: Access
    private let status: ServiceStatus
    let logger: Logger

    init(
        matcher: Matcher, registry: Registry, access: Access, status: ServiceStatus, threads: NIOThreadPool,
        background: any EventLoop, logger: Logger
    ) {
        self.matcher = matcher
        self.registry = registry
        self.access = access
        self.status = status
        self.threads = threads
        self.background = background
        deadlines = Deadlines(on: background)
        parkingLot = ParkingLot(on: background)
        self.logger = logger
    }

    /// What a call is about.
    enum Subject: Sendable {
        /// What a client wrote, which user it is, and whether it may have to do with what that leads to.
        case named(String, for: UInt32, NamespaceCheck)
        /// A namespace that is bypassed.
        case bypassed(UInt64, Record)
    }

    /// Throws if not. The very namespace that is asked about is the one that is then used, whatever its name leads to by
    /// then.
    typealias NamespaceCheck = @Sendable (FoundNamespace) throws(BypassError) -> Void

    /// Runs `work` on one of the engine's threads, in the lane of the namespace that `subject` leads to, with a session in
    /// it. The namespace is opened once, there: what was opened is what is checked and used.
    func withSession<Result: Sendable>(
        _ purpose: NamespaceSession.Purpose, in subject: Subject, on loop: any EventLoop,
        _ work: @escaping @Sendable (inout NamespaceSession) throws(BypassError) -> Result
    ) -> EventLoopFuture<Result> {
        let promise = loop.makePromise(of: Result.self)
        threads.submit { state in
            guard case .active = state else { return promise.fail(ChannelError.ioOnClosedChannel) }
            do throws(BypassError) {
                let namespace = OpenNamespace(try Self.open(subject))
                self.lanes.run(namespace.inode) { self.run(work, purpose, in: namespace, promise) }
            } catch {
                promise.fail(error)
            }
        }
        return promise.futureResult
    }

    private func run<Result: Sendable>(
        _ work: (inout NamespaceSession) throws(BypassError) -> Result, _ purpose: NamespaceSession.Purpose,
        in namespace: OpenNamespace, _ promise: EventLoopPromise<Result>
    ) {
        do throws(BypassError) {
            var session = try NamespaceSession(namespace.descriptor, for: purpose, matcher: matcher, views: views)
            forgetPredecessor(of: session)
            do throws(BypassError) {
                promise.succeed(try work(&session))
            } catch {
                promise.fail(error)
            }
            // Only now: the client has its answer while another thread is woken for this.
            parkingLot.park(session.close())
            status.bypassed(registry.count, on: background)
        } catch {
            promise.fail(error)
        }
    }

    /// A namespace that is open until the last job that names it is done.
    private final class OpenNamespace: Sendable {
        let descriptor: NetworkNamespace
        var inode: UInt64 { descriptor.inode }

        init(_ descriptor: consuming NetworkNamespace) {
            self.descriptor = descriptor
        }
    }

    /// Keeps a record; that it could not be written is a warning to whoever asked.
    @discardableResult
    func keep(_ record: Record, of inode: UInt64) -> Warning? {
        do {
            try registry.set(record, of: inode)
            return nil
        } catch {
            logger.warning("a record could not be written", metadata: ["error": "\(error)"])
            return .notRecorded("\(error)")
        }
    }

    /// The namespace is gone, and all that was in it; unless its number is another's already.
    func forget(_ inode: UInt64, _ record: Record) {
        guard registry[inode] == record else { return }
        try? matcher.remove(inode)
        registry.remove(inode)
        views.forget(inode)
        deadlines.cancel(inode)
        status.bypassed(registry.count, on: background)
    }

    /// An inode number may be used again when its namespace is gone: what was known of that one is not about this one.
    private func forgetPredecessor(of session: borrowing NamespaceSession) {
        guard let record = registry[session.inode], let old = record.cookie, let new = session.cookie, old != new else {
            return
        }
        forget(session.inode, record)
    }

    // MARK: bypasses that end by themselves

    /// Comes back when the deadline has passed. The matcher keeps to it by itself; what is left to do is to clean up.
    func watch(_ inode: UInt64, deadline: UInt64) {
        deadlines.set(inode, to: deadline) { self.expire(inode) }
    }

    private func expire(_ inode: UInt64) {
        guard let record = registry[inode] else { return }
        let subject = Subject.bypassed(inode, record)
        let cleaned = withSession(.removing, in: subject, on: background) { session throws(BypassError) in
            // Somebody may have asked for more time meanwhile.
            guard let entry = try? self.matcher.state(of: inode), !entry.isLive(at: Clock.boottime) else {
                return
            }
            _ = try Reconciler.reconcile(.off, in: &session)
            self.registry.remove(inode)
            self.access.audit.note(AuditRecord(expired: record, inode))
        }
        cleaned.whenFailure { error in
            if case BypassError.netnsNotFound = error { return self.forget(inode, record) }
            self.access.audit.note(AuditRecord(expired: record, inode).failing(with: error))
        }
    }

    // MARK: what an earlier daemon left

    /// Takes over its bypasses: entries without a record get one, records without an entry go, deadlines are watched.
    func adopt() {
        let inodes = (try? matcher.inodes()) ?? []
        for inode in inodes {
            guard let entry = try? matcher.entry(of: inode) else { continue }
            if registry[inode] == nil {
                guard let path = NamespaceReference.find(inode: inode) else {
                    // Nothing has that namespace any more, so nothing of ours is left in it.
                    try? matcher.remove(inode)
                    continue
                }
                keep(Record(netns: path, path: path, since: .now), of: inode)
            }
            watch(inode, deadline: entry.deadline)
        }
        for (inode, _) in registry.all where !inodes.contains(inode) { registry.remove(inode) }
    }
}

extension AuditRecord {
    /// A bypass whose time was over. If that failed, it has ended all the same, but its rules are left.
    fileprivate init(expired record: Record, _ inode: UInt64) {
        self.init(
            method: "expire", netns: record.netns, inode: inode, owner: record.owner, reason: record.reason)
    }
}

extension Timestamp {
    static var now: Timestamp { Timestamp(secondsSince1970: Clock.realtime / 1_000_000_000) }
}
