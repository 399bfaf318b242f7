/// Durations of one kind of call.
struct Figures {
    private var microseconds: [Double] = []

    mutating func add(_ duration: Duration) {
        microseconds.append(duration / .microseconds(1))
    }

    /// Runs `body` and adds how long it took.
    mutating func time<Result>(_ body: () throws -> Result) rethrows -> Result {
        let start = ContinuousClock.now
        let result = try body()
        add(ContinuousClock.now - start)
        return result
    }

    var median: Double { percentile(50) }

    func percentile(_ percent: Int) -> Double {
        let sorted = microseconds.sorted()
        guard !sorted.isEmpty else { return 0 }
        return sorted[min(sorted.count - 1, sorted.count * percent / 100)]
    }

    /// A row of the report.
    func row(_ title: String) -> String {
        let cells = [("min", percentile(0)), ("median", median), ("p90", percentile(90)), ("p99", percentile(99))]
        return title.padded(34) + cells.map { "\($0) \(Int($1.rounded()))".padded(14) }.joined() + "us"
    }
}

extension String {
    func padded(_ width: Int) -> String {
        self + String(repeating: " ", count: max(1, width - count))
    }
}

/// A request as a line, with a result as its answer.
enum Call {
    struct Failed: Error {
        var answer: String
    }

    static func bypass(_ netns: String, _ state: String) -> String {
        #"{"jsonrpc":"2.0","id":1,"method":"bypass","params":["\#(netns)","\#(state)"]}"#
    }

    static let info = #"{"jsonrpc":"2.0","id":1,"method":"info"}"#
    static let list = #"{"jsonrpc":"2.0","id":1,"method":"list"}"#

    static func check(_ answer: String) throws {
        guard answer.contains(#""result":"#) else { throw Failed(answer: answer) }
    }
}
