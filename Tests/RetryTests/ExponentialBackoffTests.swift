import Retry
import Testing

@Suite struct ExponentialBackoffTests {
    private let start = ContinuousClock.now

    @Test("Delays grow up to a limit, are random, and start again after a quiet time")
    func backoff() {
        var backoff = ExponentialBackoff(
            firstDelay: .milliseconds(100), longestDelay: .seconds(10), resetAfter: .seconds(60))
        let delays = (0..<40).map { _ in backoff.next(at: start) }
        for (index, delay) in delays.enumerated() {
            let most = min(Duration.milliseconds(100) * (1 << min(index, 20)), .seconds(10))
            #expect(delay <= most && delay >= most / 2)
        }
        #expect(Set(delays).count > 30)
        backoff.reset()
        #expect(backoff.next(at: start) <= .milliseconds(100))
        for _ in 0..<10 { _ = backoff.next(at: start) }
        #expect(backoff.next(at: start + .seconds(60)) >= .seconds(5))
        #expect(backoff.next(at: start + .seconds(200)) <= .milliseconds(100))
    }

    @Test("Delays that are not random double, up to the limit")
    func exact() {
        var backoff = ExponentialBackoff(firstDelay: .seconds(2), longestDelay: .seconds(300), isRandom: false)
        var now = start
        var delays: [Duration] = []
        for _ in 0..<12 {
            delays.append(backoff.next(at: now))
            now += delays.last ?? .zero
        }
        #expect(delays == [2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300, 300].map { .seconds($0) })
    }
}
