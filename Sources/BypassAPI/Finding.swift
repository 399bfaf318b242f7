/// The result of one check of `doctor` or `repair`.
package struct Finding: Hashable, Codable, Sendable {
    package enum Level: String, Codable, Sendable {
        case ok, warning, problem
        /// It could not be checked, such as by a user who is not root.
        case unknown
    }

    /// The name of the check.
    package var check: String
    package var level: Level
    /// The result as a clause.
    package var message: String
    /// The remedy.
    package var advice: String?

    package init(check: String, level: Level, message: String, advice: String? = nil) {
        self.check = check
        self.level = level
        self.message = message
        self.advice = advice
    }

    private enum CodingKeys: String, CodingKey {
        // In the order in which they are printed.
        case check
        case level = "verdict"
        case message, advice
    }

    package static func ok(_ check: String, _ message: String) -> Finding {
        Finding(check: check, level: .ok, message: message)
    }

    package static func warning(_ check: String, _ message: String, _ advice: String) -> Finding {
        Finding(check: check, level: .warning, message: message, advice: advice)
    }

    package static func problem(_ check: String, _ message: String, _ advice: String) -> Finding {
        Finding(check: check, level: .problem, message: message, advice: advice)
    }

    package static func unknown(_ check: String, _ message: String) -> Finding {
        Finding(check: check, level: .unknown, message: message, advice: "run it as root to see it")
    }
}
