internal import Bypass
internal import Console
internal import Glibc

extension Comparison {
    /// The comparison for people: a table, the difference in a sentence, failures by kind, and a plot.
    func text(_ style: Style) -> String {
        var rows = [["", "requests", "failed", "median", "p90", "p99"].map { Cell($0, .bold) }]
        for (name, side) in [("through the sidecar", through), ("past the sidecar", past)] {
            let times = TimeSummary(side.times)
            let numbers = [times?.median, times?.p90, times?.p99].map { $0.map(milliseconds) ?? "-" }
            rows.append(
                [Cell(name), Cell("\(count)"), Cell("\(side.failed)", side.failed > 0 ? .yellow : nil)]
                    + numbers.map { Cell($0) })
        }
        return TextTable(rows: rows).text(style) + differenceText + failureText + plot
    }

    private var differenceText: String {
        guard let difference else { return "No pair was answered on both sides: there are no times to compare.\n" }
        let amount = milliseconds(abs(difference.median))
        guard let interval = difference.interval else {
            let pairs = difference.pairs == 1 ? "1 pair is" : "\(difference.pairs) pairs are"
            return "\(pairs) too few to say how sure a difference is: take --count 20 or more.\n"
        }
        let isSaving = !interval.contains(0) && difference.median < 0
        let (low, high) =
            isSaving ? (-interval.upperBound, -interval.lowerBound) : (interval.lowerBound, interval.upperBound)
        let range = "95 % confidence: \(milliseconds(low)) to \(milliseconds(high))"
        let pairs = "\(difference.pairs) pairs, p \(probability(difference.probability))"
        if interval.contains(0) { return "The times show no difference (\(range); \(pairs)).\n" }
        return "The sidecar \(isSaving ? "saves" : "adds") \(amount) (\(range); \(pairs)).\n"
    }

    private var failureText: String {
        if through.failed + past.failed == 0 { return "" }
        func words(_ side: Side) -> String {
            let kinds = side.failures.map { "\($0.kind.printable) in \($0.count)" }.joined(separator: ", ")
            return (kinds.isEmpty ? "0" : kinds) + " of \(count)"
        }
        let side = failedOnlyThrough > failedOnlyPast ? "through" : "past"
        return "Failures: through the sidecar \(words(through)); past it \(words(past)).\n"
            + (failureProbability < 0.05
                ? "More requests fail \(side) the sidecar (p \(probability(failureProbability))).\n"
                : "That does not show that the sidecar makes a difference (p \(probability(failureProbability))).\n")
    }

    // MARK: plot

    private static let plotColumns = 50
    private static let bars = Array(" ▁▂▃▄▅▆▇█")

    /// The distribution of the times on one logarithmic scale for both sides; empty if there are too few times.
    var plot: String {
        let all = through.times + past.times
        guard let least = all.min(), let most = all.max(), least > 0, most > least else { return "" }
        let scale = log(Double(most) / Double(least))
        func bar(_ times: [Int]) -> String {
            var heights = [Int](repeating: 0, count: Self.plotColumns)
            for time in times {
                let position = log(Double(time) / Double(least)) / scale * Double(Self.plotColumns - 1)
                heights[Int(position)] += 1
            }
            let highest = max(1, heights.max() ?? 1)
            // What was there at all is seen.
            return String(heights.map { Self.bars[($0 * (Self.bars.count - 1) + highest - 1) / highest] })
        }
        let (left, right) = (milliseconds(least), milliseconds(most))
        let gap = String(repeating: " ", count: max(1, Self.plotColumns - left.count - right.count))
        return "\nthrough \(bar(through.times))\npast    \(bar(past.times))\n        \(left)\(gap)\(right)\n"
    }
}

/// To the microsecond, where that is worth it.
func milliseconds(_ nanoseconds: Int) -> String {
    let microseconds = (abs(nanoseconds) + 500) / 1000
    let sign = nanoseconds < 0 && microseconds > 0 ? "-" : ""
    let text =
        switch microseconds {
        case ..<10_000: decimal(microseconds, places: 3)
        case ..<100_000: decimal((microseconds + 50) / 100, places: 1)
        default: "\((microseconds + 500) / 1000)"
        }
    return sign + text + " ms"
}

private func probability(_ value: Double) -> String {
    let thousandths = Int((value * 1000).rounded())
    return thousandths == 0 ? "< 0.001" : "= " + decimal(thousandths, places: 3)
}

/// A number that was multiplied by 10 so many times.
private func decimal(_ value: Int, places: Int) -> String {
    let digits = String(repeating: "0", count: max(0, places + 1 - "\(value)".count)) + "\(value)"
    return digits.dropLast(places) + "." + digits.suffix(places)
}
