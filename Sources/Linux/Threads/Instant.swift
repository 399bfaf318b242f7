internal import CLinux

/// A moment on CLOCK_BOOTTIME, which goes on while the machine sleeps: the clock of deadlines, timeouts and durations.
package struct Instant: Hashable, Comparable, Sendable {
    /// Since boot.
    package var nanoseconds: UInt64

    package init(nanoseconds: UInt64) {
        self.nanoseconds = nanoseconds
    }

    package static var now: Instant { Instant(nanoseconds: clinux_boottime_ns()) }

    package static func < (a: Self, b: Self) -> Bool { a.nanoseconds < b.nanoseconds }

    /// Saturates: a sum beyond the clock's range is its end.
    package static func + (a: Self, b: Interval) -> Instant {
        let (sum, overflow) = a.nanoseconds.addingReportingOverflow(b.nanoseconds)
        return Instant(nanoseconds: overflow ? .max : sum)
    }

    /// The time from `b` to `a`; none if `a` is earlier.
    package static func - (a: Self, b: Self) -> Interval {
        Interval(nanoseconds: a.nanoseconds > b.nanoseconds ? a.nanoseconds - b.nanoseconds : 0)
    }
}

/// A length of time.
package struct Interval: Hashable, Comparable, Sendable {
    package var nanoseconds: UInt64

    package init(nanoseconds: UInt64) {
        self.nanoseconds = nanoseconds
    }

    package static func seconds(_ count: Int) -> Interval { Interval(count, of: 1_000_000_000) }

    package static func milliseconds(_ count: Int) -> Interval { Interval(count, of: 1_000_000) }

    package static func microseconds(_ count: Int) -> Interval { Interval(count, of: 1_000) }

    /// Saturates at both ends.
    private init(_ count: Int, of unit: UInt64) {
        let (product, overflow) = UInt64(max(count, 0)).multipliedReportingOverflow(by: unit)
        nanoseconds = overflow ? .max : product
    }

    package static func < (a: Self, b: Self) -> Bool { a.nanoseconds < b.nanoseconds }

    package static func / (a: Self, b: Int) -> Interval { Interval(nanoseconds: a.nanoseconds / UInt64(b)) }

    /// For poll(2), which takes milliseconds: rounded up, so that a wait is never too short.
    package var pollMilliseconds: Int32 {
        Int32(clamping: nanoseconds / 1_000_000 + (nanoseconds % 1_000_000 == 0 ? 0 : 1))
    }
}
