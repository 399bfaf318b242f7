/// How a command ends, for one pod or for all; the raw value is the exit code.
enum Outcome: Int32, Comparable, Sendable {
    case done = 0
    case failed = 1
    case notEffective = 2
    /// As of timeout(1).
    case timedOut = 124

    private var severity: Int {
        switch self {
        case .done: 0
        case .notEffective: 1
        case .timedOut: 2
        case .failed: 3
        }
    }

    static func < (one: Outcome, other: Outcome) -> Bool { one.severity < other.severity }
}

/// Why a command ends without the result that it was called for.
struct Failure: Error, Hashable {
    /// What is wrong, and what can be done about it.
    var message: String
    var outcome = Outcome.failed

    init(_ message: String) {
        self.message = message
    }
}
