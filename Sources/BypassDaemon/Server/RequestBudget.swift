internal import NIOCore

/// How many requests each user may still make: a bucket a user that fills up again within a second.
///
/// A bucket is kept as the time at which it will be full. One that is full already is the same as none, so what is held
/// is bounded by the users who asked something within the last two seconds.
struct RequestBudget {
    /// The time in which a bucket fills up, so the burst is one second's worth.
    private static let whole = TimeAmount.seconds(1)

    private let cost: TimeAmount
    private var fullAt: [UInt32: NIODeadline] = [:]
    private var nextSweep = NIODeadline.distantPast

    init(perSecond: Int) {
        cost = .nanoseconds(Self.whole.nanoseconds / Int64(perSecond))
    }

    /// Takes one request out of a user's bucket; false if there is none left.
    mutating func take(_ user: UInt32, at now: NIODeadline) -> Bool {
        if now >= nextSweep { sweep(now) }
        let next = max(fullAt[user] ?? now, now) + cost
        guard next <= now + Self.whole else { return false }
        fullAt[user] = next
        return true
    }

    private mutating func sweep(_ now: NIODeadline) {
        fullAt = fullAt.filter { $0.value > now }
        nextSweep = now + Self.whole
    }

    /// The buckets that are not known to be full.
    var count: Int { fullAt.count }
}
