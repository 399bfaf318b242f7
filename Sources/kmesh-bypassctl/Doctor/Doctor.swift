internal import ArgumentParser
internal import BypassAPI
internal import Console
internal import StrictJSON

/// `doctor`
struct Doctor: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Check the installation and the bypasses, and whether a bypass left anything behind.",
        discussion: """
            Needs no daemon. On a node, what concerns the kernel is checked by 'kmesh-bypassd repair --dry-run'. Run it \
            as root to check everything. Ends with 1 if there is a problem.

            EXAMPLES
              sudo kmesh-bypassctl doctor
              sudo kmesh-bypassctl doctor --repair
            """)

    @Flag(help: "Remove leftovers, unless a daemon runs: as 'kmesh-bypassd repair' does.")
    var repair = false

    @Option(help: .init("The folder of the daemon's pins.", valueName: "folder"))
    var bpffs = "/sys/fs/bpf"

    @OptionGroup var common: CommonOptions

    func validate() throws {
        if repair && !Console.isRoot { throw ValidationError("--repair changes namespaces: become root") }
    }

    func run() async throws {
        let findings = await Self.findings(bpffs: bpffs, repairs: repair, socket: common.path)
        try await reportingFailures(asJSON: common.json) {
            try Console.print(
                common.json
                    ? JSONEncoding.text(of: ["findings": findings]) + "\n" : findings.text(.ofStandardOutput))
        }
        if findings.contains(where: { $0.level == .problem }) { throw ExitCode(ExitStatus.failed.rawValue) }
    }

    /// All that is checked, leftovers last.
    static func findings(bpffs: String, repairs: Bool, socket: String) async -> [Finding] {
        let node = await NodeChecks(bpffs: bpffs, repairs: repairs).findings()
        let service = await ServiceChecks(socket: socket).findings()
        let isAboutLeftovers = { (finding: Finding) in ["repair", "leftovers"].contains(finding.check) }
        // A daemon that runs has pinned its matcher: one cause is one finding.
        let isExplained = { (finding: Finding) in
            finding.check == "pins" && finding.level == .warning
                && service.contains { $0.check == "daemon" && $0.level == .problem }
        }
        return node.filter { !isAboutLeftovers($0) && !isExplained($0) } + service + node.filter(isAboutLeftovers)
    }
}
