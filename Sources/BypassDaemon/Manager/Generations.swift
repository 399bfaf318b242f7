/// Numbers of decisions: each is higher than all before, also than those of an earlier daemon.
///
/// That is so without writing them down, since they begin with the time of day. Those of bypasses are in their records; of
/// namespaces in which one has ended only so many are kept, and the others are taken to have changed since.
struct Generations {
    private struct Ended {
        var cookie: UInt64?
        var generation: Int
    }

    private var last: Int
    /// Of a namespace of which nothing is known: not older than any decision that has been forgotten.
    private var floor: Int
    private var ended: [UInt64: Ended] = [:]

    static let maxEnded = 4096
    /// What every reader of JSON has a number for. Milliseconds reach that far for 285,000 years.
    static let range = 0...1 << 53

    /// - Parameters:
    ///   - now: milliseconds since 1970.
    ///   - known: that are in records.
    init(now: Int, known: some Sequence<Int>) {
        last = known.reduce(now, max)
        floor = last
    }

    mutating func next(now: Int) -> Int {
        last = max(last + 1, now)
        return last
    }

    /// The generation of a namespace that is not bypassed.
    func ofUnbypassed(_ inode: UInt64, cookie: UInt64?) -> Int {
        guard let known = ended[inode], known.cookie == cookie else { return floor }
        return known.generation
    }

    /// A bypass has ended by a decision, or has expired.
    ///
    /// - Returns: the namespace's generation from now on.
    mutating func recordEnd(_ inode: UInt64, cookie: UInt64?, now: Int) -> Int {
        if ended.count >= Self.maxEnded, ended[inode] == nil {
            floor = last
            ended = [:]
        }
        let generation = next(now: now)
        ended[inode] = Ended(cookie: cookie, generation: generation)
        return generation
    }
}
