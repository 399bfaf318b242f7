import BypassAPI
import BypassDaemon
import BypassRepair
import Console
import StrictJSON

/// `repair`: checks the machine and removes leftovers, without starting the daemon.
struct RepairCommand: Command {
    var dryRun = false
    var json = false
    var bpffs = Daemon.Configuration().bpffs

    static var parser: OptionParser<RepairCommand> {
        OptionParser(
            command: "\(Product.name) repair",
            overview: """
                Check the machine, and remove what bypasses left behind.

                Leftovers are rules of no bypass and entries of namespaces that no longer
                exist. They are removed only while no daemon uses the BPF folder: a daemon
                removes them when it starts. Ends with 1 if a problem is left.
                """,
            options: [
                .flag("--dry-run", \RepairCommand.dryRun, "Show what is wrong, and change nothing."),
                .flag("--json", \.json, "Print the findings as one line of JSON."),
                .text(
                    "--bpffs", \.bpffs, of: RepairCommand(), value: "folder",
                    "Keep the matcher's pins in this folder, on a BPF file system."),
            ])
    }

    func validate() throws(UsageError) {
        try DaemonCommand.validate(bpffs: bpffs)
        if !dryRun && !Console.isRoot {
            throw UsageError(message: "repair changes namespaces: become root, or use --dry-run")
        }
    }

    /// - Returns: the exit status.
    func run() -> Int32 {
        let leftovers = LeftoverChecks(bpffs: bpffs)
        var findings = KernelChecks(bpffs: bpffs).findings()
        if !dryRun { findings += leftovers.repair() }
        findings += leftovers.findings()
        let status: Int32
        do {
            let line = json ? try JSONEncoding.text(of: ["findings": findings]) + "\n" : nil
            status = show(line ?? findings.text(.ofStandardOutput))
        } catch {
            Console.printError("the findings cannot be encoded: \(error)")
            status = 1
        }
        return findings.contains { $0.level == .problem } ? 1 : status
    }
}
