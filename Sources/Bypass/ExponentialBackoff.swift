/// When to try again what keeps failing, or keeps being undone: at once the first time, then after pauses that double.
///
/// Times are in nanoseconds, on a clock of the caller's.
package struct ExponentialBackoff: Hashable, Sendable {
    /// Attempts in a row.
    private var attempts = 0
    private var last: UInt64 = 0

    package let firstPause: UInt64
    package let longestPause: UInt64
    /// Without an attempt for so long after the pause, the next one is the first again.
    package let resetAfter: UInt64

    package init(firstPause: UInt64, longestPause: UInt64, resetAfter: UInt64) {
        self.firstPause = firstPause
        self.longestPause = longestPause
        self.resetAfter = resetAfter
    }

    /// When the next attempt may be.
    package var next: UInt64 { attempts == 0 ? 0 : last + pause }

    private var pause: UInt64 {
        // As far as no bit is lost.
        min(firstPause << UInt64(min(attempts - 1, firstPause.leadingZeroBitCount)), longestPause)
    }

    /// An attempt was made, whether it helped or not.
    package mutating func recordAttempt(at now: UInt64) {
        if attempts > 0 && now > next + resetAfter { attempts = 0 }
        attempts += 1
        last = now
    }
}

extension ExponentialBackoff {
    /// For repairs of a bypass that another program keeps damaging, so that the two do not fight for a ruleset at the speed
    /// of a processor.
    package static let repair = ExponentialBackoff(
        firstPause: 2_000_000_000, longestPause: 300_000_000_000, resetAfter: 60_000_000_000)
}
