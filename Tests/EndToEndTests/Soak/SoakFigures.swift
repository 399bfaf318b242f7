import MeshSandbox
import TestSupport

/// How long calls took, and what the daemon used meanwhile.
struct SoakFigures {
    private var durations: [String: [Duration]] = [:]
    private var usages: [(after: Duration, usage: ProcessUsage)] = []

    mutating func add(_ method: String, _ duration: Duration) {
        durations[method, default: []].append(duration)
    }

    mutating func add(_ usage: ProcessUsage, after time: Duration) {
        usages.append((time, usage))
    }

    mutating func add(_ others: SoakFigures) {
        durations.merge(others.durations, uniquingKeysWith: +)
    }

    /// How much memory may vary without anything being kept that is not needed: what is freed is not given back at once.
    private static let memorySlack = 4 << 20
    private static let descriptorSlack = 4

    /// Compares what the daemon uses after a third of the time, when all that is kept has been filled, with the end.
    ///
    /// - Returns: what has grown; nil if it is flat.
    var growth: String? {
        guard usages.count >= 6 else { return nil }
        let third = usages.count / 3
        let (early, late) = (usages[third..<2 * third].map(\.usage), usages.suffix(third).map(\.usage))
        func median(_ usages: [ProcessUsage], _ figure: (ProcessUsage) -> Int) -> Int {
            usages.map(figure).sorted()[usages.count / 2]
        }
        let memory = median(late, \.residentMemory) - median(early, \.residentMemory)
        if memory > Self.memorySlack { return "\(memory / 1024) KiB of memory" }
        let descriptors = median(late, \.descriptors) - median(early, \.descriptors)
        return descriptors > Self.descriptorSlack ? "\(descriptors) descriptors" : nil
    }

    var report: String {
        var lines = ["method       calls     p50      p99      max    ms"]
        for (method, all) in durations.sorted(by: { $0.key < $1.key }) {
            let sorted = all.sorted()
            let columns = [50, 99, 100].map {
                Self.milliseconds(sorted[min(sorted.count - 1, sorted.count * $0 / 100)])
            }
            lines.append(Self.row([method, "\(all.count)"] + columns))
        }
        lines.append("seconds     memory  files  threads  processor    KiB, s")
        for (time, usage) in usages {
            let seconds = "\(usage.processorTime.components.seconds)"
            lines.append(
                Self.row([
                    "\(time.components.seconds)", "\(usage.residentMemory / 1024)", "\(usage.descriptors)",
                    "\(usage.threads)", seconds,
                ]))
        }
        return lines.joined(separator: "\n")
    }

    private static func milliseconds(_ duration: Duration) -> String {
        let tenths = Int((duration / .microseconds(100)).rounded())
        return "\(tenths / 10).\(tenths % 10)"
    }

    private static func row(_ cells: [String]) -> String {
        cells.enumerated().map { index, cell in
            let padding = String(repeating: " ", count: max(0, 9 - cell.count))
            return index == 0 ? cell + padding : padding + cell
        }.joined()
    }
}
