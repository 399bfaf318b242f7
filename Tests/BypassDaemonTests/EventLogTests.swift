import BypassAPI
import JSONRPC
import Linux
import Testing

@testable import BypassDaemon

@Suite struct EventLogTests {
    private func handle() -> Connection.Handle {
        Connection.Handle(ConnectionSlot(uid: 7, account: 7, at: .now))
    }

    private func text(_ next: EventLog.Next?) -> String? {
        guard case .line(let line) = next else { return nil }
        return String(decoding: line, as: UTF8.self)
    }

    @Test("What is bypassed follows from what has happened")
    func snapshot() {
        let log = EventLog(capacity: 4)
        log.recover(.sample(9))
        log.publish(.on, .sample(3))
        log.publish(.on, .sample(1))
        log.publish(.degraded, .sample(3))
        log.publish(.off, .sample(1))
        #expect(log.snapshot.sequence == 4)
        #expect(log.snapshot.bypasses.map(\.inode).sorted() == [3, 9])
        for end in [BypassEvent.Name.expired, .gone] { log.publish(end, .sample(end == .gone ? 3 : 9)) }
        #expect(log.snapshot.bypasses == [])
    }

    @Test("It reaches back as far as it is long, and not into the future")
    func reach() {
        let log = EventLog(capacity: 4)
        #expect(log.reachesBack(to: 0) && !log.reachesBack(to: 1) && !log.reachesBack(to: -1))
        for _ in 0..<6 { log.publish(.on, .sample(1)) }
        #expect((0...7).filter(log.reachesBack) == [2, 3, 4, 5, 6])
        if case .forgotten = log.next(after: 1) {} else { Issue.record("event 2 should be forgotten") }
        #expect(text(log.next(after: 2))?.contains("\"sequence\":3,") == true)
        #expect(log.next(after: 6) == nil)
    }

    @Test("Large events are forgotten before there are too many bytes of them", arguments: [false, true])
    func bytes(_ areRead: Bool) {
        let log = EventLog(capacity: 1024)
        var large = BypassStatus.sample(1)
        large.warnings = [.init(code: "x", message: String(repeating: "\u{1}", count: 60_000))]
        for number in 1...200 {
            log.publish(.on, number.isMultiple(of: 2) ? large : .sample(2))
            if areRead { #expect(text(log.next(after: number - 1)) != nil) }
        }
        let kept = (1...200).count { log.reachesBack(to: $0 - 1) }
        #expect((2...40).contains(kept))
        #expect((200 - kept..<200).allSatisfy { text(log.next(after: $0)) != nil })
    }

    @Test("Of the many warnings of many bypasses the first are kept, and the number of the others")
    func brief() {
        let log = EventLog(capacity: 4)
        var status = BypassStatus.sample(1)
        status.warnings = (0..<32).map { _ in .init(code: "tproxy", message: String(repeating: "x", count: 200)) }
        log.publish(.on, status)
        let kept = log.snapshot.bypasses.first?.warnings ?? []
        #expect(kept.count == 6 && kept.last?.code == "truncated" && kept.last?.message.contains("27") == true)
    }

    @Test("An event is a line of the contract, the same for all subscribers")
    func line() throws {
        let log = EventLog(capacity: 4)
        log.publish(.on, .sample(1))
        let first = try #require(text(log.next(after: 0)))
        #expect(first.hasSuffix("\n"))
        #expect(first == text(log.next(after: 0)))
        let event = BypassEvent(sequence: 1, bypass: .sample(1))
        #expect(first == String(decoding: RequestWriter.notification(method: "on", params: event), as: UTF8.self))
    }

    @Test("Nothing is encoded without a subscriber, and once for many")
    func lazyEncoding() {
        let log = EventLog(capacity: 4)
        for _ in 0..<100 { log.publish(.on, .sample(1)) }
        #expect(log.encodedCount == 0)
        for _ in 0..<3 { _ = log.next(after: 99) }
        #expect(log.encodedCount == 1)
    }

    @Test("A subscription takes the events after its beginning, once each, until it ends")
    func subscription() throws {
        let log = EventLog(capacity: 4)
        var subscription = Subscription(for: handle())
        #expect(!subscription.isActive && subscription.next() == nil)
        log.publish(.on, .sample(1))
        subscription.begin(log, after: 1)
        #expect(subscription.isActive && subscription.next() == nil)
        for _ in 0..<2 { log.publish(.on, .sample(2)) }
        #expect(text(subscription.next())?.contains("\"sequence\":2,") == true)
        #expect(text(subscription.next())?.contains("\"sequence\":3,") == true)
        #expect(subscription.next() == nil && !subscription.isBehind)
        for _ in 0..<5 { log.publish(.on, .sample(2)) }
        #expect(subscription.isBehind)
        if case .forgotten = subscription.next() {} else { Issue.record("event 4 should be forgotten") }
        subscription.end()
        #expect(!subscription.isActive && !subscription.isBehind && subscription.next() == nil)
    }
}
