import BypassAPI
import Linux
import Testing

@testable import BypassDaemon

@Suite struct RateLimitedLogTests {
    private let written = TestLog()
    private let queue: WorkQueue
    private let log: RateLimitedLog

    init() throws {
        queue = try WorkQueue("test log")
        log = Self.log(to: written, queue)
    }

    private static func log(to written: TestLog, _ queue: WorkQueue, names: String = "/dev/null") -> RateLimitedLog {
        RateLimitedLog(
            metrics: DaemonMetrics(), names: LocalAccountNames(path: names), logger: written.logger, queue: queue)
    }

    private func refuse(_ uid: UInt32, _ limit: Limits.Name = .connections, times: Int = 1) {
        for _ in 0..<times { log.record(.refused, limit, uid: uid) }
    }

    @Test("However much is refused, there is a line a second, which says how much")
    func flood() {
        let began = Instant.now
        refuse(7, times: 1000)
        #expect(written.lines == ["connection refused limit=connections uid=7"])
        #expect(written.lines(2).last == "connection refused limit=connections times=999 uid=7")
        #expect(Instant.now - began >= .seconds(1))
        refuse(7, times: 5)
        #expect(written.lines.count == 2)
        #expect(written.lines(3).last == "connection refused limit=connections times=5 uid=7")
        let quiet = Instant.now + .milliseconds(1200)
        _ = Monitor(false).wait(until: quiet) { $0 ? () : nil }
        refuse(7)
        #expect(
            written.lines.dropFirst(3) == ["connection refused limit=connections uid=7"], "at once, since it is alone")
        queue.stop(discardingPending: true)
    }

    @Test("A user is named where this machine's own file has a name")
    func names() throws {
        let path = temporaryPath("passwd")
        defer { try? Files.remove(path) }
        try Files.write(Array("root:x:0:0::/:\n\nlp:x:7:7\nprinter:x:7:7\nx:y\n".utf8), to: path)
        let named = Self.log(to: written, queue, names: path)
        named.record(.refused, .connections, uid: 7)
        named.record(.refused, .connections, uid: 8)
        try Files.write(Array("carol:x:9:9\n".utf8), to: path)
        named.record(.refused, .connections, uid: 9)
        let line = "connection refused limit=connections"
        #expect(written.lines == ["\(line) uid=7 user=lp", "\(line) uid=8", "\(line) uid=9 user=carol"])
    }

    @Test("Delayed lines are logged when the daemon ends")
    func end() {
        refuse(7, times: 4)
        queue.stop()
        log.finish()
        #expect(written.lines.last == "connection refused limit=connections times=3 uid=7")
        log.finish()
        #expect(written.lines.count == 2)
    }

    @Test("One user's noise hides neither another's nor what is of another kind")
    func kinds() {
        refuse(7, times: 10)
        refuse(8)
        refuse(7, .requestsPerSecond)
        #expect(written.lines.count == 3)
        queue.stop(discardingPending: true)
    }
}
