import Linux
import Testing

@testable import Netfilter

/// What is kept of tables with very many chains.
@Suite struct ChainGraphTests {
    /// As many chains and jumps as are kept of a table.
    private static func fill(_ graph: inout ChainGraph, size: Int) -> Set<Int> {
        for index in 0..<size / 2 {
            graph.add(ChainGraph.Chain(ruleCount: 1), to: index)
            graph.addJump(from: index, to: index + 1)
        }
        graph.add(ChainGraph.Chain(ruleCount: 1, effects: .destinationNat), to: size / 2 - 1)
        graph.finish()
        return Set(graph.bases([0], reaching: .destinationNat).keys)
    }

    /// The resident memory of this process in bytes, now or, since the last reset, at its highest.
    private static func memory(_ name: String) throws -> Int {
        let line = try Files.text("/proc/self/status").split(separator: "\n").first { $0.hasPrefix(name) }
        return (line.flatMap { Int($0.filter(\.isNumber)) } ?? 0) << 10
    }

    @Test func `Eight large tables at once take the memory of one, and small ones do not wait`() throws {
        // Resets the highest value (proc(5)).
        try AppendOnlyFile("/proc/self/clear_refs").append([UInt8(ascii: "5")])
        let before = try Self.memory("VmRSS:")
        let outcomes = Monitor((judged: 0, unknown: 0, small: 0, slowestSmall: Interval.seconds(0)))
        Thread.inParallel(12, named: "test") {
            let isSmall = outcomes.update { state in
                state.small += 1
                return state.small > 8
            }
            let began = Instant.now
            for _ in 0..<(isSmall ? 20 : 1) {
                var graph = ChainGraph()
                let bases = Self.fill(&graph, size: isSmall ? 1 << 12 : ChainGraph.maxSize - 2)
                outcomes.update { state in
                    if isSmall { state.slowestSmall = max(state.slowestSmall, .now - began) }
                    if graph.isTooLarge { state.unknown += 1 } else if bases == [0] { state.judged += 1 }
                }
            }
        }
        let outcome = outcomes.withLock(\.self)
        let taken = try Self.memory("VmHWM:") - before
        print("eight large tables at once: \(taken >> 20) MiB, \(outcome)")
        // One takes about 13 MiB, and the process's memory can grow for other reasons meanwhile.
        #expect(taken < 64 << 20, "\(taken >> 20) MiB")
        #expect(outcome.judged + outcome.unknown == 88 && outcome.judged >= 81, "\(outcome)")
    }
}
