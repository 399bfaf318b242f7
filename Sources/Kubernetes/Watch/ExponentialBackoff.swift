/// Delays between attempts that keep failing.
package struct ExponentialBackoff: Sendable {
    /// After the first failure, at most.
    package let firstDelay: Duration
    package let longestDelay: Duration
    /// Without a failure for so long after the last delay, the next failure counts as the first again.
    package let resetAfter: Duration

    private var failures = 0
    private var lastDelayEnd: ContinuousClock.Instant?

    package init(
        firstDelay: Duration = .milliseconds(200), longestDelay: Duration = .seconds(30),
        resetAfter: Duration = .seconds(120)
    ) {
        self.firstDelay = firstDelay
        self.longestDelay = longestDelay
        self.resetAfter = resetAfter
    }

    /// The delay after a failure: it doubles with each one, and half of it is random, so that many clients that lost the same
    /// server do not reconnect at the same moment.
    package mutating func next(at now: ContinuousClock.Instant = .now) -> Duration {
        if let lastDelayEnd, now > lastDelayEnd + resetAfter { failures = 0 }
        let limit = min(firstDelay * (1 << min(failures, 20)), longestDelay)
        let delay = limit / 2 + limit / 2 * Double.random(in: 0...1)
        failures += 1
        lastDelayEnd = now + delay
        return delay
    }

    package mutating func reset() { failures = 0 }
}
