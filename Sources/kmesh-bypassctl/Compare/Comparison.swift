internal import StrictJSON

/// The outcome of one request.
struct RequestOutcome: Hashable, Sendable {
    /// A status of HTTP, `connected` where none was asked for, or what went wrong: the name for people and programs.
    var kind: String
    var nanoseconds: Int
    var isFailure: Bool

    /// As a line between the processes.
    var line: String { "\(isFailure ? "failed" : "done") \(nanoseconds) \(kind)" }

    init(_ kind: String, nanoseconds: Int, isFailure: Bool) {
        self.kind = kind
        self.nanoseconds = nanoseconds
        self.isFailure = isFailure
    }

    init?(line: String) {
        let words = line.split(separator: " ", maxSplits: 2)
        guard words.count == 3, let nanoseconds = Int(words[1]) else { return nil }
        self.init(String(words[2]), nanoseconds: nanoseconds, isFailure: words[0] == "failed")
    }
}

/// The same requests through the sidecar and past it, in pairs.
struct Comparison {
    struct Pair: Hashable, Sendable {
        var through: RequestOutcome
        var past: RequestOutcome
    }

    /// One side of all pairs.
    struct Side {
        /// The number of requests by outcome, the most frequent first.
        var outcomes: [(kind: String, count: Int)]
        var failures: [(kind: String, count: Int)]
        var failed: Int
        /// Of the requests that were answered.
        var times: [Int]

        init(_ requests: [RequestOutcome]) {
            outcomes = Self.counted(requests)
            failures = Self.counted(requests.filter(\.isFailure))
            failed = requests.count(where: \.isFailure)
            times = requests.filter { !$0.isFailure }.map(\.nanoseconds)
        }

        private static func counted(_ requests: [RequestOutcome]) -> [(kind: String, count: Int)] {
            Dictionary(grouping: requests, by: \.kind).map { (kind: $0.key, count: $0.value.count) }
                .sorted { ($1.count, $0.kind) < ($0.count, $1.kind) }
        }
    }

    let count: Int
    let through: Side
    let past: Side
    /// Through the sidecar against past it, of pairs that were answered on both sides; nil of none.
    let difference: PairedDifference?
    /// Pairs in which only one side has failed.
    let failedOnlyThrough: Int
    let failedOnlyPast: Int

    init(_ pairs: [Pair]) {
        count = pairs.count
        through = Side(pairs.map(\.through))
        past = Side(pairs.map(\.past))
        difference = PairedDifference(
            pairs.filter { !$0.through.isFailure && !$0.past.isFailure }
                .map { $0.through.nanoseconds - $0.past.nanoseconds })
        failedOnlyThrough = pairs.count { $0.through.isFailure && !$0.past.isFailure }
        failedOnlyPast = pairs.count { !$0.through.isFailure && $0.past.isFailure }
    }

    /// The probability of such a difference in failures by chance.
    var failureProbability: Double { SignTest.probability(failedOnlyThrough, against: failedOnlyPast) }
}

// MARK: JSON

/// The comparison for programs. Times are in microseconds.
struct ComparisonReport: Encodable {
    struct Side: Encodable {
        var outcomes: [String: Int]
        var failed: Int
        var median: Double?
        var p90: Double?
        var p99: Double?

        init(_ side: Comparison.Side) {
            outcomes = Dictionary(uniqueKeysWithValues: side.outcomes.map { ($0.kind, $0.count) })
            failed = side.failed
            let times = TimeSummary(side.times)
            median = times.map { microseconds($0.median) }
            p90 = times.map { microseconds($0.p90) }
            p99 = times.map { microseconds($0.p99) }
        }
    }

    struct Difference: Encodable {
        var pairs: Int
        var median: Double
        var low: Double?
        var high: Double?
        var probability: Double
    }

    struct Failures: Encodable {
        var onlyThrough: Int
        var onlyPast: Int
        var probability: Double
    }

    var netns: String
    var to: String
    var http: String?
    var count: Int
    var unit = "microseconds"
    var through: Side
    var past: Side
    var difference: Difference?
    var failures: Failures

    init(_ comparison: Comparison, netns: String, to: String, http: String?) {
        self.netns = netns
        self.to = to
        self.http = http
        count = comparison.count
        through = Side(comparison.through)
        past = Side(comparison.past)
        difference = comparison.difference.map {
            Difference(
                pairs: $0.pairs, median: microseconds($0.median), low: $0.interval.map { microseconds($0.lowerBound) },
                high: $0.interval.map { microseconds($0.upperBound) }, probability: $0.probability)
        }
        failures = Failures(
            onlyThrough: comparison.failedOnlyThrough, onlyPast: comparison.failedOnlyPast,
            probability: comparison.failureProbability)
    }
}

private func microseconds(_ nanoseconds: Int) -> Double { Double(nanoseconds) / 1000 }
