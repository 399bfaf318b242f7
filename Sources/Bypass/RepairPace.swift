/// How often a bypass is repaired when somebody keeps damaging it: at once the first time, then after pauses that double,
/// so that two programs do not fight for a ruleset at the speed of a processor.
///
/// Times are CLOCK_BOOTTIME in nanoseconds.
public struct RepairPace: Hashable, Sendable {
    /// Repairs in a row.
    private var repairs = 0
    private var last: UInt64 = 0

    public static let firstPause: UInt64 = 2_000_000_000
    public static let longestPause: UInt64 = 300_000_000_000
    /// What holds for so long was no fight.
    static let peace: UInt64 = 60_000_000_000

    public init() {}

    /// When the next repair may be.
    public var next: UInt64 { repairs == 0 ? 0 : last + pause }

    private var pause: UInt64 {
        // Beyond 2^8 it is the longest anyway.
        min(Self.firstPause << UInt64(min(repairs - 1, 8)), Self.longestPause)
    }

    /// A repair was tried, whether it helped or not.
    public mutating func noteRepair(at now: UInt64) {
        if repairs > 0 && now > next + Self.peace { repairs = 0 }
        repairs += 1
        last = now
    }
}
