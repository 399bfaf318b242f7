internal import ArgumentParser
internal import Bypass
internal import BypassAPI
internal import BypassPolicy
internal import Console
internal import StrictJSON

/// `policy`: evaluates the policy without the daemon.
struct PolicyCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "policy",
        abstract: "Check the policy file, and show who may do what.",
        discussion: """
            Needs neither root nor the daemon.

            EXAMPLES
              kmesh-bypassctl policy check
              kmesh-bypassctl policy explain --user alice --netns web
            """,
        subcommands: [PolicyCheck.self, PolicyExplain.self]
    )
}

/// `policy check [FILE]`
struct PolicyCheck: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "check",
        abstract: "Check whether the daemon would accept a policy file, and show what it means.",
        discussion: """
            Reports every error with its line number, and ends with 1 if there is one. A name that this machine does not know \
            is a warning, and ends with 0. A FILE that is named need not \
            belong to root: it may be a draft.

            EXAMPLES
              kmesh-bypassctl policy check && systemctl reload kmesh-bypassd
              kmesh-bypassctl policy check --json draft.toml | jq -r '.error.data.errors[]?'
            """)

    @Argument(help: "The policy file.", completion: .file(extensions: ["toml"]))
    var file = PolicyFile.path

    @OptionGroup var output: PolicyOutput

    func run() throws {
        try PolicySource.reportingErrors(asJSON: output.json) {
            let source = try PolicySource(file)
            // The daemon would refuse it.
            if let untrustedReason = source.untrustedReason, file == PolicyFile.path {
                throw PolicySource.Failure(lines: [untrustedReason])
            }
            try output.print(PolicySummary(source)) { summary(of: source, $0) }
        }
    }
}

/// The form of what a `policy` command prints.
struct PolicyOutput: ParsableArguments {
    @Flag(help: #"Print the result as one line of JSON; an error as {"error":...}, too."#)
    var json = false

    /// - Parameter text: the same for people.
    func print(_ result: some Encodable, text: (Style) -> String) throws {
        try Console.print(json ? JSONEncoding.text(of: result) + "\n" : text(.ofStandardOutput))
    }
}

/// A policy for programs.
struct PolicySummary: Encodable {
    struct Grant: Encodable {
        /// nil of a built-in one.
        var line: Int?
        var subjects: [String]
        var role: String
        /// For people.
        var meaning: String
    }

    var path: String
    var builtIn: Bool
    var grants: [Grant]
    var warnings: [String]

    init(_ source: PolicySource) {
        (path, builtIn, warnings) = (source.path, source.policy.isBuiltIn, source.allWarnings)
        grants = source.policy.grants.map {
            Grant(
                line: $0.line, subjects: $0.subjects.map(\.description), role: $0.role.rawValue, meaning: $0.sentence)
        }
    }
}

/// A summary of a policy, a line for each grant.
func summary(of source: PolicySource, _ style: Style) -> String {
    let grants = source.policy.grants
    let count = grants.count == 1 ? "1 grant" : "\(grants.count) grants"
    let title =
        source.policy.isBuiltIn
        ? "there is no \(source.path): the built-in policy is in effect" : "\(source.path) is in order: \(count)"
    var rows = grants.map { grant in
        let isMissing = source.policy.isBuiltIn && !source.policy.unknownSubjects.isEmpty
        let sentence =
            isMissing ? "a group \(Policy.groupName) could use bypasses, but there is none" : grant.sentence
        return [Cell(grant.line.map { "line \($0)" } ?? "built in", .bold), Cell(sentence)]
    }
    rows.append([Cell("always", .bold), Cell(source.policy.sentenceAboutRoot)])
    rows.append([Cell("", .bold), Cell("all others may do nothing")])
    return title.printable + "\n" + TextTable(rows: rows).text(style) + source.warnings(style)
}

/// The policy in effect, and where it comes from.
struct PolicySource {
    /// The reasons that it cannot be loaded: lines for people.
    struct Failure: Error {
        var lines: [String]
        /// For programs.
        var kind = "invalid-policy"
    }

    var path: String
    var policy: Policy
    /// The parts without effect for now: lines for people.
    var warnings: [String]
    /// The reason that the daemon would not accept the file as it is.
    var untrustedReason: String?

    init(path: String, policy: Policy, warnings: [String] = [], untrustedReason: String? = nil) {
        self.path = path
        self.policy = policy
        self.warnings = warnings
        self.untrustedReason = untrustedReason
    }

    /// Reads a policy file. Without the daemon's policy file, the built-in policy is in effect.
    init(_ path: String) throws(Failure) {
        let loaded: PolicyFile.Loaded
        do throws(PolicyLoadingError) {
            loaded = try PolicyFile.load(path)
        } catch {
            throw Failure(lines: error.lines)
        }
        self.init(
            path: path, policy: loaded.policy, warnings: loaded.warnings, untrustedReason: loaded.untrustedReason)
    }

    /// Warnings about the file, as sentences.
    var allWarnings: [String] {
        warnings + [untrustedReason.map { "the daemon will not accept the file as it is: \($0)" }].compactMap(\.self)
    }

    /// Warnings about the file.
    func warnings(_ style: Style) -> String {
        allWarnings.map { style.paint("warning:", .yellow) + " " + $0.printable + "\n" }.joined()
    }

    /// Runs the body of a `policy` command. Reports a failure as all commands do, and ends the process.
    static func reportingErrors(asJSON: Bool, _ body: () throws -> Void) throws {
        do {
            try body()
        } catch let failure as Failure {
            var report = CommandFailure(failure.lines.joined(separator: "; "), .failed, kind: failure.kind)
            report.data = ["kind": .string(failure.kind), "errors": .array(failure.lines.map { .string($0) })]
            throw report.report(asJSON: asJSON, lines: failure.lines)
        }
    }
}
