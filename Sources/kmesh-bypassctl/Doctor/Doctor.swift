internal import ArgumentParser
internal import StrictJSON

/// `doctor`
struct Doctor: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Look whether all that a bypass needs is in order, and whether anything was left behind.",
        discussion: """
            Needs no daemon. Root is told everything; others are told what they cannot see. Ends with 1 if something is \
            wrong.
            """)

    @Flag(help: "Take away what was left behind, if no daemon runs that would.")
    var repair = false

    @Option(help: .init("Where the daemon pins its matcher.", valueName: "folder"))
    var bpffs = "/sys/fs/bpf"

    @OptionGroup var common: CommonOptions

    func validate() throws {
        if repair && !Process.isRoot { throw ValidationError("--repair changes namespaces: become root") }
    }

    func run() async throws {
        let leftovers = LeftoverChecks(bpffs: bpffs)
        var findings = KernelChecks(bpffs: bpffs).findings()
        findings += await ServiceChecks(socket: common.path).findings()
        if repair { findings += leftovers.repair() }
        findings += leftovers.findings()
        do {
            try Process.print(
                common.json
                    ? JSONEncoding.text(of: ["findings": findings]) + "\n" : findings.text(.ofStandardOutput))
        } catch let error as OutputError {
            if !error.isReaderGone { Process.complain("cannot write the output: \(error)") }
            throw ExitCode(ExitStatus.failed.rawValue)
        }
        if findings.contains(where: { $0.verdict == .problem }) { throw ExitCode(ExitStatus.failed.rawValue) }
    }
}
