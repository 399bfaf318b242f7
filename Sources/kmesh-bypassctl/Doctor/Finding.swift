/// What one check came to.
struct Finding: Hashable, Encodable {
    enum Verdict: String, Encodable {
        case ok, warning, problem
        /// This user cannot see it.
        case unknown
    }

    /// What was looked at.
    var check: String
    var verdict: Verdict
    /// What is so, as a clause.
    var message: String
    /// What to do about it.
    var advice: String?

    static func ok(_ check: String, _ message: String) -> Finding {
        Finding(check: check, verdict: .ok, message: message)
    }

    static func warning(_ check: String, _ message: String, _ advice: String) -> Finding {
        Finding(check: check, verdict: .warning, message: message, advice: advice)
    }

    static func problem(_ check: String, _ message: String, _ advice: String) -> Finding {
        Finding(check: check, verdict: .problem, message: message, advice: advice)
    }

    static func unknown(_ check: String, _ message: String) -> Finding {
        Finding(check: check, verdict: .unknown, message: message, advice: "run it as root to see it")
    }
}

extension [Finding] {
    /// A line for each, and what to do below it.
    func text(_ style: Style) -> String {
        let rows = flatMap { finding in
            [[Cell(finding.verdict.rawValue, finding.verdict.color), Cell(finding.check), Cell(finding.message)]]
                + (finding.advice.map { [[Cell(""), Cell(""), Cell("-> " + $0)]] } ?? [])
        }
        return Table(rows: rows).text(style)
    }
}

extension Finding.Verdict {
    fileprivate var color: Style.Color? {
        switch self {
        case .ok: .green
        case .warning, .problem: .yellow
        case .unknown: nil
        }
    }
}
