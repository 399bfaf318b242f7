/// When to try again what keeps failing, or keeps being undone: after delays that double.
package struct ExponentialBackoff: Hashable, Sendable {
    /// After the first failure, at most.
    package let firstDelay: Duration
    package let longestDelay: Duration
    /// Without a failure for so long after the last delay, the next failure counts as the first again.
    package let resetAfter: Duration
    /// Whether the delays are random in their upper half, so that many clients that lost the same server do not reconnect at
    /// the same moment.
    package let isRandom: Bool

    private var failures = 0
    private var lastDelayEnd: ContinuousClock.Instant?

    package init(
        firstDelay: Duration = .milliseconds(200), longestDelay: Duration = .seconds(30),
        resetAfter: Duration = .seconds(120), isRandom: Bool = true
    ) {
        self.firstDelay = firstDelay
        self.longestDelay = longestDelay
        self.resetAfter = resetAfter
        self.isRandom = isRandom
    }

    /// The delay after a failure.
    package mutating func next(at now: ContinuousClock.Instant = .now) -> Duration {
        if let lastDelayEnd, now > lastDelayEnd + resetAfter { failures = 0 }
        let limit = min(firstDelay * (1 << min(failures, 20)), longestDelay)
        let delay = isRandom ? limit / 2 + limit / 2 * Double.random(in: 0...1) : limit
        failures += 1
        lastDelayEnd = now + delay
        return delay
    }

    package mutating func reset() { failures = 0 }
}
