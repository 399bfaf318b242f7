internal import ArgumentParser
internal import BypassAPI
internal import Console
internal import StrictJSON

/// `doctor`
struct Doctor: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Check the installation, and whether a bypass left anything behind.",
        discussion: """
            Needs no daemon. On a node, what concerns the kernel is checked by 'kmesh-bypassd repair --dry-run'. Run it \
            as root to check everything. Ends with 1 if there is a problem.
            """)

    @Flag(help: "Remove leftovers, unless a daemon runs: as 'kmesh-bypassd repair' does.")
    var repair = false

    @Option(help: .init("Where the daemon pins its matcher.", valueName: "folder"))
    var bpffs = "/sys/fs/bpf"

    @OptionGroup var common: CommonOptions

    func validate() throws {
        if repair && !Console.isRoot { throw ValidationError("--repair changes namespaces: become root") }
    }

    func run() async throws {
        let node = await NodeChecks(bpffs: bpffs, repairs: repair).findings()
        let isAboutLeftovers = { (finding: Finding) in ["repair", "leftovers"].contains(finding.check) }
        var findings = node.filter { !isAboutLeftovers($0) }
        findings += await ServiceChecks(socket: common.path).findings()
        findings += node.filter(isAboutLeftovers)
        do {
            try Console.print(
                common.json
                    ? JSONEncoding.text(of: ["findings": findings]) + "\n" : findings.text(.ofStandardOutput))
        } catch let error as OutputError {
            if !error.isReaderGone { Console.printError("cannot write the output: \(error)") }
            throw ExitCode(ExitStatus.failed.rawValue)
        }
        if findings.contains(where: { $0.level == .problem }) { throw ExitCode(ExitStatus.failed.rawValue) }
    }
}
