internal import Linux

/// How a ruleset is read that other programs change meanwhile.
enum RulesetAttempts {
    /// So many times, and in so much time, all of it has to be of one generation. After that it is taken as it is seen.
    static let settled = 8
    static let settledTime = Interval.milliseconds(500)

    /// Growing, so that changes at regular intervals do not meet every attempt. A single change needs no pause.
    static func pause(before attempt: Int) -> Interval {
        .milliseconds(attempt < 2 ? 0 : 1 << min(attempt - 2, 4))
    }
}
