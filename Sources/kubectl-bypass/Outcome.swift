/// The outcome of a command, for one pod or for all; the raw value is the exit code.
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

/// The failure of a command.
struct Failure: Error, Hashable {
    /// The fault and its remedy, as a sentence.
    var message: String
    var outcome = Outcome.failed

    init(_ message: String) {
        self.message = message
    }
}
