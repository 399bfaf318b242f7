internal import Linux

/// Attempts at reading a ruleset that other programs keep changing.
enum RulesetAttempts {
    /// For this many attempts, and this long, all of it has to be of one generation. After that changes are accepted.
    static let settled = 8
    static let settledTime = Interval.milliseconds(500)

    /// Growing, so that changes at regular intervals do not meet every attempt. A single change needs no pause.
    static func pause(before attempt: Int) -> Interval {
        .milliseconds(attempt < 2 ? 0 : 1 << min(attempt - 2, 4))
    }
}
