internal import Glibc

/// A summary of times, in nanoseconds.
struct TimeSummary: Hashable {
    var median: Int
    var p90: Int
    var p99: Int

    /// nil of no times.
    init?(_ times: [Int]) {
        let sorted = times.sorted()
        guard !sorted.isEmpty else { return nil }
        median = Self.median(sorted)
        p90 = Self.percentile(90, of: sorted)
        p99 = Self.percentile(99, of: sorted)
    }

    /// Of what is sorted, and not empty.
    static func median(_ sorted: [Int]) -> Int {
        let middle = sorted.count / 2
        return sorted.count % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
    }

    /// The smallest time that so many per cent do not exceed (nearest rank): one that was measured.
    private static func percentile(_ percent: Int, of sorted: [Int]) -> Int {
        sorted[max(0, (sorted.count * percent + 99) / 100 - 1)]
    }
}

/// The difference of two sides, by pairs of measurements made one after the other: a slow change is in both of a pair.
///
/// The sign test and the interval that belongs to it assume nothing about how times are distributed, and no outlier moves
/// them.
struct PairedDifference: Hashable {
    var pairs: Int
    /// Of the differences of the pairs.
    var median: Int
    /// The median's interval of 95 % confidence; nil of fewer than six pairs, which cannot show that.
    var interval: ClosedRange<Int>?
    /// The probability of a result like this one if there is no difference (the p-value).
    var probability: Double

    /// nil of no differences.
    init?(_ differences: [Int]) {
        let sorted = differences.sorted()
        guard !sorted.isEmpty else { return nil }
        pairs = sorted.count
        median = TimeSummary.median(sorted)
        let rank = SignTest.rank(of: sorted.count)
        interval = rank.map { sorted[$0]...sorted[sorted.count - 1 - $0] }
        probability = SignTest.probability(
            sorted.count { $0 > 0 }, against: sorted.count { $0 < 0 })
    }
}

/// As often heads as tails: the test for paired measurements, and, of failures in pairs, McNemar's.
enum SignTest {
    /// The probability that one side wins so often, or more often, by chance. Ties count for neither.
    static func probability(_ wins: Int, against losses: Int) -> Double {
        let fewer = cumulative(of: wins + losses).dropFirst(min(wins, losses))
        return min(1, 2 * (fewer.first { _ in true } ?? 1))
    }

    /// The first of the sorted differences that belongs to the median's interval of 95 %, counted from 0; nil if there are too
    /// few for any.
    static func rank(of count: Int) -> Int? {
        let outside = cumulative(of: count).prefix { $0 <= 0.025 }.count
        return outside == 0 ? nil : outside - 1
    }

    /// The probabilities of so many heads or fewer, from none on.
    private static func cumulative(of count: Int) -> some Sequence<Double> {
        // As a logarithm: of many pairs, the first terms are too small for a number.
        sequence(state: (heads: 0, term: log(0.5) * Double(count), sum: 0.0)) { state in
            guard state.heads <= count else { return nil }
            if state.heads > 0 { state.term += log(Double(count - state.heads + 1) / Double(state.heads)) }
            state.sum += exp(state.term)
            state.heads += 1
            return state.sum
        }
    }
}
