internal import Bypass
internal import BypassAPI
internal import Datapath
internal import Linux
internal import Logging
internal import NIOCore
internal import NIOPosix

/// Carries out what clients ask of namespaces, on threads of its own: one hop there and one back for each call.
///
/// Work on one namespace is serial. Work on different ones runs side by side, on whichever thread is free.
final class Engine: Sendable {
    let matcher: Matcher
    let registry: Registry
    let access: Access
    let events: EventLog
    let conditions = Conditions()
    let status: ServiceStatus
    let counted: DaemonMetrics
    let logger: Logger
    let deadlines: Deadlines
    let views = RulesetCache()
    let lanes = NamespaceLanes()
    private let parkingLot: ParkingLot
    let threads: NIOThreadPool
    /// Where nobody waits: sockets are closed here, and bypasses are looked after without anybody asking.
    let background: any EventLoop
    private let adoption: EventLoopPromise<Void>

    init(
        matcher: Matcher, registry: Registry, access: Access, events: EventLog, status: ServiceStatus,
        counted: DaemonMetrics, threads: NIOThreadPool, background: any EventLoop, logger: Logger
    ) {
        self.matcher = matcher
        self.registry = registry
        self.access = access
        self.events = events
        self.status = status
        self.counted = counted
        self.threads = threads
        self.background = background
        deadlines = Deadlines(on: background)
        parkingLot = ParkingLot(on: background)
        adoption = background.makePromise()
        self.logger = logger
    }

    /// What a call is about.
    enum Subject: Sendable {
        /// What a client wrote, which user it is, and whether it may have to do with what that leads to. If addresses are
        /// expected, the namespace must have one of them.
        case named(String, for: UInt32, expecting: [IPAddress]? = nil, NamespaceCheck)
        /// A namespace that is bypassed.
        case bypassed(UInt64, Record)
    }

    /// Throws if not. The very namespace that is asked about is the one that is then used, whatever its name leads to by
    /// then.
    typealias NamespaceCheck = @Sendable (FoundNamespace) throws(BypassError) -> Void

    /// Runs `work` on one of the engine's threads, in the lane of the namespace that `subject` leads to, with a session in
    /// it. The namespace is opened once, there: what was opened is what is checked and used.
    func withSession<Result: Sendable>(
        _ purpose: NamespaceSession.Detail, in subject: Subject, on loop: any EventLoop,
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
        _ work: (inout NamespaceSession) throws(BypassError) -> Result, _ purpose: NamespaceSession.Detail,
        in namespace: OpenNamespace, _ promise: EventLoopPromise<Result>
    ) {
        do throws(BypassError) {
            var session = try NamespaceSession(namespace.descriptor, detail: purpose, matcher: matcher, cache: views)
            endPredecessor(of: session)
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

    /// Runs `work` where kernel work is done, without a namespace.
    func outside(_ work: @escaping @Sendable () -> Void) -> EventLoopFuture<Void> {
        threads.runIfActive(eventLoop: background, work)
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

    // MARK: what an earlier daemon left

    /// When all bypasses of an earlier daemon have been looked at.
    var adopted: EventLoopFuture<Void> { adoption.futureResult }

    /// Also at the daemon's end, when nobody will look at the rest any more; the second time nothing happens.
    func noteAdopted() { adoption.succeed() }
}
