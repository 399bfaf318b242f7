internal import CoreMetrics
internal import Synchronization

/// A number that grows.
final class Count: CounterHandler {
    private let count = Atomic<Int64>(0)

    var value: Int64 { count.load(ordering: .relaxed) }

    func increment(by amount: Int64) { count.wrappingAdd(amount, ordering: .relaxed) }

    func reset() { count.store(0, ordering: .relaxed) }
}

/// A number as it is now.
final class Gauge: MeterHandler, RecorderHandler {
    private let current = Mutex(0.0)

    var value: Double { current.withLock(\.self) }

    func set(_ value: Int64) { set(Double(value)) }
    func set(_ value: Double) { current.withLock { $0 = value } }
    func increment(by amount: Double) { current.withLock { $0 += amount } }
    func decrement(by amount: Double) { current.withLock { $0 -= amount } }
    func record(_ value: Int64) { set(Double(value)) }
    func record(_ value: Double) { set(value) }
}

/// A histogram of durations.
final class Histogram: TimerHandler {
    struct Snapshot: Sendable {
        /// Of each bucket by itself, the last one without a bound.
        var counts: [UInt64]
        var nanoseconds: UInt64

        /// Upper bounds in nanoseconds: from the 1 ms that a call takes to the 10 s after which something hangs. Each costs
        /// a series for each set of labels.
        static let bounds: [UInt64] = [1_000_000, 10_000_000, 100_000_000, 1_000_000_000, 10_000_000_000]
    }

    // Each by itself: calls of many threads end at the same time, and none waits to be counted.
    private let counts = InlineArray<6, Atomic<UInt64>> { _ in Atomic(0) }
    private let nanoseconds = Atomic<UInt64>(0)

    /// As it is now. What is counted meanwhile may be in one part and not in the other.
    var snapshot: Snapshot {
        var counts: [UInt64] = []
        for index in 0...Snapshot.bounds.count { counts.append(self.counts[index].load(ordering: .relaxed)) }
        return Snapshot(counts: counts, nanoseconds: nanoseconds.load(ordering: .relaxed))
    }

    func recordNanoseconds(_ duration: Int64) {
        let duration = UInt64(clamping: duration)
        let bucket = Snapshot.bounds.firstIndex { duration <= $0 } ?? Snapshot.bounds.count
        counts[bucket].wrappingAdd(1, ordering: .relaxed)
        nanoseconds.wrappingAdd(duration, ordering: .relaxed)
    }
}
