import Testing

@testable import Linux

@Suite struct InstantTests {
    private let end = Instant(nanoseconds: .max)

    @Test("Sums beyond the clock's range are its end, and no time is negative")
    func saturation() {
        #expect(end + .seconds(1) == end)
        #expect(Instant(nanoseconds: .max - 1) + Interval(nanoseconds: 5) == end)
        #expect(Instant(nanoseconds: 5) + Interval(nanoseconds: 6) == Instant(nanoseconds: 11))
        #expect(Instant(nanoseconds: 5) - Instant(nanoseconds: 6) == Interval(nanoseconds: 0))
        #expect(Instant(nanoseconds: 6) - Instant(nanoseconds: 5) == Interval(nanoseconds: 1))
        #expect(Interval.seconds(.max) == Interval(nanoseconds: .max))
        #expect(Interval.seconds(-1) == Interval(nanoseconds: 0))
        #expect(Interval.milliseconds(-1) == Interval(nanoseconds: 0))
        #expect(Interval.milliseconds(.max) == Interval(nanoseconds: .max))
        #expect(Interval.microseconds(.max) == Interval(nanoseconds: .max))
    }

    @Test("Units are what they are called")
    func units() {
        #expect(Interval.seconds(2) == .milliseconds(2000))
        #expect(Interval.milliseconds(2) == .microseconds(2000))
        #expect(Interval.seconds(1) / 4 == .milliseconds(250))
        #expect(Interval.milliseconds(1) < .milliseconds(2))
    }

    @Test(
        "A wait of poll(2) is never too short",
        arguments: [(0, 0), (1, 1), (1_000_000, 1), (1_000_001, 2), (UInt64.max, Int32.max)] as [(UInt64, Int32)])
    func poll(_ nanoseconds: UInt64, _ milliseconds: Int32) {
        #expect(Interval(nanoseconds: nanoseconds).pollMilliseconds == milliseconds)
    }

    @Test("Time goes on")
    func now() {
        let first = Instant.now
        #expect(Instant.now >= first && first.nanoseconds > 0)
    }
}
