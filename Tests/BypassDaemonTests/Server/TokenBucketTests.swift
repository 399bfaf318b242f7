import Linux
import Testing

@testable import BypassDaemon

@Suite struct TokenBucketTests {
    private let start = Instant(nanoseconds: 5_000_000_000)

    /// How many of a thousand requests are let through.
    private func taken(_ buckets: inout TokenBuckets, _ account: UInt32, at now: Instant) -> Int {
        (0..<1000).count { _ in buckets.take(account, at: now) == nil }
    }

    @Test("A second's worth may come at once, and then what the rate gives")
    func rate() {
        var buckets = TokenBuckets(perSecond: 10)
        #expect(taken(&buckets, 1, at: start) == 10)
        #expect(taken(&buckets, 1, at: start + .milliseconds(99)) == 0)
        #expect(taken(&buckets, 1, at: start + .milliseconds(100)) == 1)
        #expect(taken(&buckets, 1, at: start + .milliseconds(450)) == 3)
        #expect(taken(&buckets, 1, at: start + .seconds(3600)) == 10, "a bucket does not run over")
    }

    @Test("A request that is refused learns when there is a token, and there is one then")
    func next() {
        var buckets = TokenBuckets(perSecond: 10)
        #expect(taken(&buckets, 1, at: start) == 10)
        #expect(buckets.take(1, at: start) == start + .milliseconds(100))
        #expect(buckets.take(1, at: start + .milliseconds(30)) == start + .milliseconds(100))
        #expect(buckets.take(1, at: start + .milliseconds(100)) == nil)
        #expect(buckets.take(1, at: start + .milliseconds(100)) == start + .milliseconds(200))
    }

    @Test("One account's requests are not another's")
    func accounts() {
        var buckets = TokenBuckets(perSecond: 10)
        #expect(taken(&buckets, 1, at: start) == 10)
        #expect(taken(&buckets, 2, at: start) == 10)
        #expect(taken(&buckets, 1, at: start) == 0)
    }

    @Test("Any rate that can be set is kept", arguments: [1, 3, 999, 1_000_000_000])
    func rates(_ rate: Int) {
        var buckets = TokenBuckets(perSecond: rate)
        #expect(taken(&buckets, 1, at: start) == min(rate, 1000))
    }

    @Test("Accounts that have gone are not remembered")
    func bounded() {
        var buckets = TokenBuckets(perSecond: 10)
        var most = 0
        for account in 0..<10_000 {
            _ = buckets.take(UInt32(account), at: start + .milliseconds(account))
            most = max(most, buckets.count)
        }
        #expect(most <= 2000)
        _ = buckets.take(1, at: start + .seconds(3600))
        #expect(buckets.count == 1)
    }
}
