internal import Linux

/// The remaining requests of each account: a bucket for each that fills up again within a second.
///
/// A bucket is kept as the time at which it will be full. One that is full is the same as none, so what is held is bounded
/// by the accounts that asked something within the last two seconds.
struct TokenBuckets {
    /// The time in which a bucket fills up, so the burst is one second's worth.
    private static let fillTime = Interval.seconds(1)

    private let cost: Interval
    private var fullAt: [UInt32: Instant] = [:]
    private var nextSweep = Instant(nanoseconds: 0)

    init(perSecond: Int) {
        cost = Self.fillTime / perSecond
    }

    /// Takes one token out of an account's bucket.
    ///
    /// - Returns: nil if there was one; else when there will be.
    mutating func take(_ account: UInt32, at now: Instant) -> Instant? {
        if now >= nextSweep { sweep(now) }
        let next = max(fullAt[account] ?? now, now) + cost
        if next > now + Self.fillTime {
            return Instant(nanoseconds: next.nanoseconds - Self.fillTime.nanoseconds)
        }
        fullAt[account] = next
        return nil
    }

    private mutating func sweep(_ now: Instant) {
        fullAt = fullAt.filter { $0.value > now }
        nextSweep = now + Self.fillTime
    }

    /// The buckets that are not known to be full.
    var count: Int { fullAt.count }
}
