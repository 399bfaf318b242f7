import Glibc
import Testing

@testable import BypassAPI
@testable import BypassDaemon
@testable import Linux

/// The server's parts as the daemon puts them together, with methods that ask no kernel. Each connection has a thread.
final class TestServer: Sendable {
    let limits: Limits
    let log = TestLog()
    let slow = SlowCalls()
    let events: EventLog
    /// What ``LaterMethod`` has done after its answers.
    let later = Monitor<[String]>([])
    let connections: ConnectionRegistry
    let acceptor: Acceptor
    private let queue: WorkQueue

    private init(_ limits: Limits) throws {
        self.limits = limits
        let metrics = DaemonMetrics()
        queue = try WorkQueue("test queue")
        events = EventLog(capacity: limits.events)
        connections = ConnectionRegistry(limits: limits, metrics: metrics)
        let accounts = AccountResolver(queue: queue, logger: log.logger)
        acceptor = Acceptor(
            ServerContext(
                router: Router(metrics: metrics, slow: slow, events: events, later: later), limits: limits,
                connections: connections, reaper: try SocketReaper(),
                log: RateLimitedLog(
                    metrics: metrics, names: LocalAccountNames(path: "/dev/null"), logger: log.logger, queue: queue)),
            accounts: SubordinateAccounts(path: "/nonexistent", accounts: accounts), logger: log.logger)
    }

    /// Runs `body` with a server, and ends all connections after it.
    ///
    /// - Parameter change: sets limits that are not the default.
    static func with(_ change: (inout Limits) -> Void = { _ in }, _ body: (TestServer) throws -> Void) throws {
        var limits = Limits()
        change(&limits)
        let server = try TestServer(limits)
        do {
            try body(server)
        } catch {
            Issue.record(error)
        }
        server.slow.finishAll()
        server.connections.closeAll(within: .seconds(60))
        #expect(server.connections.count == 0)
        server.queue.stop(discardingPending: true)
    }

    /// A client, connected as the acceptor takes it in.
    ///
    /// - Parameters:
    ///   - uid: the user who connects.
    ///   - room: the bytes that the server's end of the socket holds at most, about.
    func connect(uid: UInt32 = 0, room: CInt? = nil) throws -> TestClient {
        var ends: [CInt] = [-1, -1]
        try systemCall("socketpair") {
            unsafe socketpair(AF_UNIX, CInt(SOCK_STREAM.rawValue) | CInt(SOCK_CLOEXEC.rawValue), 0, &ends)
        }
        let server = OwnedDescriptor(adopting: ends[0])
        let client = TestClient(OwnedDescriptor(adopting: ends[1]))
        if var room {
            try systemCall("setsockopt") {
                unsafe setsockopt(server.rawValue, SOL_SOCKET, SO_SNDBUF, &room, socklen_t(MemoryLayout<CInt>.size))
            }
        }
        let credentials = PeerCredentials(pid: getpid(), uid: uid, gid: uid)
        let process = PeerProcess(of: server, credentials)
        try acceptor.startConnection(AcceptedConnection(StreamSocket(server), credentials, process))
        return client
    }

    /// Waits until that many connections have a thread.
    func waitForConnections(_ count: Int) {
        #expect(eventually { connections.count == count }, "\(connections.count) connections")
    }

    /// Publishes events of bypasses, by inode from 0 on.
    func publish(_ count: Int, reason: String? = nil, inode: UInt64 = 0) {
        for number in 0..<count {
            events.publish(.on, .sample(inode + UInt64(number), reason: reason))
            events.wakeSubscribers()
        }
    }
}

extension BypassStatus {
    static func sample(_ inode: UInt64, reason: String? = nil) -> BypassStatus {
        BypassStatus(netns: "n\(inode)", inode: inode, state: .on, effective: true, reason: reason)
    }
}

/// For a file that one test makes, and removes.
func temporaryPath(_ name: String) -> String { "/tmp/kmesh-bypass-\(name)-\(Instant.now.nanoseconds)" }

/// Waits until a condition holds that nothing announces.
///
/// - Returns: whether it held in time.
func eventually(_ condition: () -> Bool) -> Bool {
    let deadline = testDeadline()
    while !condition() {
        if .now >= deadline { return false }
        usleep(1000)
    }
    return true
}
