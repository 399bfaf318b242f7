import NIOCore
import NIOEmbedded
import Testing

@testable import BypassAPI
@testable import BypassDaemon

@Suite struct RefusalLogTests {
    private let loop = EmbeddedEventLoop()
    private let written = TestLog()
    private let log: RefusalLog

    init() {
        log = RefusalLog(counted: DaemonMetrics(), logger: written.logger)
    }

    private func refuse(_ user: UInt32, _ limit: Limits.Name = .connections, times: Int = 1) {
        for _ in 0..<times { log.note(.refused, limit, user: user, on: loop) }
    }

    @Test("However much is refused, there is a line a second, which says how much")
    func flood() {
        refuse(7, times: 1000)
        #expect(written.lines == ["connection refused limit=connections uid=7"])
        loop.advanceTime(by: .seconds(1))
        #expect(written.lines.last == "connection refused limit=connections times=999 uid=7")
        refuse(7, times: 5)
        #expect(written.lines.count == 2)
        loop.advanceTime(by: .seconds(1))
        #expect(written.lines.last == "connection refused limit=connections times=5 uid=7")
        loop.advanceTime(by: .hours(1))
        #expect(written.lines.count == 3)
    }

    @Test("What comes alone is told at once")
    func single() {
        for _ in 0..<3 {
            refuse(7)
            loop.advanceTime(by: .seconds(2))
        }
        #expect(written.lines == Array(repeating: "connection refused limit=connections uid=7", count: 3))
    }

    @Test("One user's noise hides neither another's nor what is of another kind")
    func kinds() {
        refuse(7, times: 10)
        refuse(8)
        refuse(7, .requestsPerSecond)
        #expect(written.lines.count == 3)
    }
}
