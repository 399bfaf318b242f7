import ArgumentParser
import BypassAPI
import BypassRepair
import Console
import StrictJSON

/// `repair`: checks the machine and removes leftovers, without starting the daemon.
struct RepairCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "repair",
        abstract: "Check the machine, and remove what bypasses left behind.",
        discussion: """
            Leftovers are rules of no bypass and entries of namespaces that no longer exist. They are removed only while \
            no daemon uses the BPF folder: a daemon removes them when it starts. Ends with 1 if a problem is left.
            """)

    @Flag(help: "Show what is wrong, and change nothing.")
    var dryRun = false

    @Flag(help: "Print the findings as one line of JSON.")
    var json = false

    // The same group as the daemon's, whose parser reads it.
    @OptionGroup var pins: PinOptions

    func validate() throws {
        if !dryRun && !Console.isRoot {
            throw ValidationError("repair changes namespaces: become root, or use --dry-run")
        }
    }

    func run() throws {
        let leftovers = LeftoverChecks(bpffs: pins.bpffs)
        var findings = KernelChecks(bpffs: pins.bpffs).findings()
        if !dryRun { findings += leftovers.repair() }
        findings += leftovers.findings()
        let text = json ? try JSONEncoding.text(of: ["findings": findings]) + "\n" : findings.text(.ofStandardOutput)
        do throws(OutputError) {
            try Console.print(text)
        } catch {
            if !error.isReaderGone { Console.printError("cannot write the output: \(error)") }
            throw ExitCode.failure
        }
        if findings.contains(where: { $0.level == .problem }) { throw ExitCode.failure }
    }
}
