internal import ArgumentParser
internal import Bypass
internal import BypassPolicy

/// `policy check [FILE]`
struct PolicyCheck: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "check",
        abstract: "Tell whether the daemon would take a policy file, and what it means.",
        discussion: """
            Says all that is wrong, with line numbers, and ends with 1 if anything is. A FILE that is named may belong to \
            somebody else than root: it may be a draft.
            """)

    @Argument(help: "The policy file.", completion: .file(extensions: ["toml"]))
    var file = PolicyFile.path

    func run() throws {
        try PolicySource.complaining {
            let source = try PolicySource(file)
            // In its place the daemon would refuse it.
            if let untrustedReason = source.untrustedReason, file == PolicyFile.path {
                throw PolicySource.Failure(lines: [untrustedReason])
            }
            try Process.print(summary(of: source, .ofStandardOutput))
        }
    }
}

/// What a policy means, a line for each grant.
func summary(of source: PolicySource, _ style: Style) -> String {
    let grants = source.policy.grants
    let count = grants.count == 1 ? "1 grant" : "\(grants.count) grants"
    let title =
        source.policy.isBuiltIn
        ? "there is no \(source.path): what holds without one is this" : "\(source.path) is in order: \(count)"
    var rows = grants.map { [Cell($0.line.map { "line \($0)" } ?? "built in", .bold), Cell($0.sentence)] }
    if source.policy.isBuiltIn && grants.isEmpty {
        rows.append([
            Cell("built in", .bold), Cell("a group \(Policy.groupName) could use bypasses, but there is none"),
        ])
    }
    rows.append([Cell("always", .bold), Cell(source.policy.sentenceAboutRoot)])
    rows.append([Cell("", .bold), Cell("everybody else may do nothing")])
    return title.printable + "\n" + Table(rows: rows).text(style) + source.notes(style)
}
