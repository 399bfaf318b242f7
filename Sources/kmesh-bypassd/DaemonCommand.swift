import ArgumentParser
import BypassAPI
import BypassDaemon
import Linux
import Logging

/// Arguments and wiring; everything else is in `BypassDaemon`.
@main
struct DaemonCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: Product.name,
        abstract: "Takes the sidecar of a service mesh out of a network namespace's traffic, and puts it back.",
        discussion: """
            Runs as root and answers JSON-RPC 2.0 on a Unix socket. Bypasses outlive it: ending the daemon ends none.

            Exit status: 0 after SIGTERM; 64 wrong arguments; 69 the kernel cannot load the matcher (no BTF); 71 a \
            system call failed; 72 no BPF file system; 75 the socket or the BPF folder is in use; 77 not root, or a \
            capability is missing; 78 the policy file is not valid. SIGHUP reloads the policy file.
            """,
        version: Product.version,
        subcommands: [RepairCommand.self])

    @Option(help: ArgumentHelp("Listen here (or set \(Product.socketVariable)).", valueName: "path"))
    var socket: String?

    @OptionGroup var pins: PinOptions

    @Option(help: ArgumentHelp("Keep records of who wants which bypass here.", valueName: "folder"))
    var stateDir = Daemon.Configuration().stateFolder

    @Option(
        help: ArgumentHelp(
            "Policy file. Without it: root may do everything, and the group kmesh may read and bypass.",
            valueName: "file"))
    var policy = Daemon.Configuration().policy

    @Option(
        help: ArgumentHelp(
            "Send audit records to this journal socket (default: the journal's own, if standard error goes there).",
            valueName: "path"))
    var journal: String?

    @Option(
        help: ArgumentHelp("Check every bypass this often, and repair it.", valueName: "seconds"))
    var checkInterval = Daemon.Configuration().checkInterval

    @Option(
        help: ArgumentHelp(
            "Write metrics here every 15 seconds, for node_exporter's textfile collector.", valueName: "path"))
    var metricsFile: String?

    @Option(help: "Minimum log level.")
    var logLevel = LogLevel.info

    @OptionGroup(title: "Limits")
    var limits: LimitOptions

    func validate() throws {
        guard (1...86400).contains(checkInterval) else {
            throw ValidationError("--check-interval must be between 1 and 86400 seconds")
        }
    }

    func run() throws {
        var logger = Logger(label: Product.name) { _ in JournalLogHandler() }
        logger.logLevel = logLevel.level
        var configuration = Daemon.Configuration()
        configuration.socket = socket ?? ProcessEnvironment[Product.socketVariable] ?? Product.socketPath
        configuration.bpffs = pins.bpffs
        configuration.stateFolder = stateDir
        configuration.policy = policy
        configuration.journal = journal ?? configuration.journal
        configuration.checkInterval = checkInterval
        configuration.metricsFile = metricsFile
        configuration.limits = limits.limits
        do throws(StartError) {
            // Before there is a second thread.
            try Daemon.blockSignals()
            try Daemon(configuration, logger: logger).run()
        } catch {
            printError("\(Product.name): \(error)")
            throw ExitCode(error.exitCode)
        }
    }
}

/// Where the pins are, for the daemon and for `repair`.
struct PinOptions: ParsableArguments {
    @Option(help: ArgumentHelp("Keep the matcher's pins in this folder, on a BPF file system.", valueName: "folder"))
    var bpffs = Daemon.Configuration().bpffs

    func validate() throws {
        // xt_bpf takes paths of up to 511 bytes.
        guard bpffs.hasPrefix("/"), bpffs.utf8.count <= 480 else {
            throw ValidationError("--bpffs must be an absolute path of at most 480 bytes")
        }
    }
}

enum LogLevel: String, CaseIterable, ExpressibleByArgument {
    case trace, debug, info, notice, warning, error, critical

    /// The same word of swift-log's.
    var level: Logger.Level { Logger.Level(rawValue: rawValue) ?? .info }
}
