import BypassAPI
import BypassDaemon
import Linux
import Logging

/// Arguments and wiring of the daemon; everything else is in `BypassDaemon`.
struct DaemonCommand: Command {
    var configuration = Daemon.Configuration()
    /// nil for what the environment says.
    var socket: String?
    var logLevel = LogLevel.info

    static var parser: OptionParser<DaemonCommand> {
        OptionParser(
            command: Product.name,
            overview: """
                Takes the sidecar of a service mesh out of a network namespace's
                traffic, and puts it back.

                Runs as root and answers JSON-RPC 2.0 on a Unix socket. Bypasses outlive it:
                ending the daemon ends none.

                Exit status: 0 after SIGTERM; 64 wrong arguments; 69 the kernel cannot load the
                matcher (no BTF); 71 a system call failed; 72 no BPF file system; 75 the socket
                or the BPF folder is in use; 77 not root, or a capability is missing; 78 the
                policy file is not valid. SIGHUP reloads the policy file.
                """,
            options: options,
            footer: [
                "SUBCOMMANDS:", "  repair                  Check the machine, and remove what bypasses left behind.",
                "                          See '\(Product.name) repair --help'.",
            ])
    }

    private static var options: [CommandOption<DaemonCommand>] {
        let defaults = DaemonCommand()
        func limit(_ name: String, _ path: WritableKeyPath<Limits, Int>, _ help: String) -> CommandOption<DaemonCommand>
        {
            .number(
                name, (\DaemonCommand.configuration.limits as WritableKeyPath).appending(path: path), of: defaults,
                value: "number",
                group: "LIMITS", help)
        }
        return [
            limit("--max-line", \.line, "Bytes in a line."),
            limit("--max-depth", \.depth, "Levels of arrays and objects in a line."),
            limit("--max-batch", \.batch, "Entries in a batch."),
            limit("--max-connections", \.connections, "Connections at the same time."),
            limit("--max-user-connections", \.userConnections, "Connections of one user at the same time."),
            limit("--max-line-seconds", \.lineSeconds, "Seconds for a line once begun."),
            limit(
                "--max-requests-per-second", \.requestsPerSecond, "Requests of one user in a second; root is exempt."),
            limit("--max-idle-seconds", \.idleSeconds, "Seconds without a request."),
            limit("--max-unread-seconds", \.unreadSeconds, "Seconds until answers are read."),
            limit("--max-events", \.events, "Events that a subscriber may be behind."),
            .text("--socket", \.socket, value: "path", "Listen here (or set \(Product.socketVariable))."),
            .text(
                "--bpffs", \.configuration.bpffs, of: defaults, value: "folder",
                "Keep the matcher's pins in this folder, on a BPF file system."),
            .text(
                "--state-dir", \.configuration.stateFolder, of: defaults, value: "folder",
                "Keep the records of the bypasses here."),
            .text(
                "--policy", \.configuration.policy, of: defaults, value: "file",
                "Policy file. Without it: root may do everything, and the group kmesh may read and bypass."),
            .text(
                "--journal", \.configuration.journal, value: "path",
                "Send audit records to this journal socket (default: the journal's own, if standard error goes there)."),
            .number(
                "--check-interval", \.configuration.checkInterval, of: defaults, value: "seconds",
                "Check every bypass this often, and repair it."),
            .text(
                "--metrics-file", \.configuration.metricsFile, value: "path",
                "Write metrics here every 15 seconds, for node_exporter's textfile collector."),
            .choice("--log-level", \.logLevel, of: defaults, value: "level", "Minimum log level."),
        ]
    }

    func validate() throws(UsageError) {
        try Self.validate(bpffs: configuration.bpffs)
        guard (1...86400).contains(configuration.checkInterval) else {
            throw UsageError(message: "--check-interval must be between 1 and 86400 seconds")
        }
        let limits = configuration.limits
        let values = [
            limits.line, limits.depth, limits.batch, limits.connections, limits.userConnections, limits.lineSeconds,
            limits.requestsPerSecond, limits.idleSeconds, limits.unreadSeconds, limits.events,
        ]
        guard values.allSatisfy((1...1_000_000_000).contains) else {
            throw UsageError(message: "a limit must be between 1 and 1000000000")
        }
        // They are kept in memory.
        guard limits.events <= 1_000_000 else { throw UsageError(message: "--max-events must be 1000000 or less") }
        guard limits.depth <= 256 else { throw UsageError(message: "--max-depth must be 256 or less") }
    }

    /// xt_bpf takes paths of up to 511 bytes.
    static func validate(bpffs: String) throws(UsageError) {
        guard bpffs.hasPrefix("/"), bpffs.utf8.count <= 480 else {
            throw UsageError(message: "--bpffs must be an absolute path of at most 480 bytes")
        }
    }

    /// - Returns: the exit status.
    func run() -> Int32 {
        var logger = Logger(label: Product.name) { _ in JournalLogHandler() }
        logger.logLevel = logLevel.level
        var configuration = configuration
        configuration.socket = socket ?? ProcessEnvironment[Product.socketVariable] ?? Product.socketPath
        do throws(StartError) {
            // Before there is a second thread.
            try Daemon.blockSignals()
            try Daemon(configuration, logger: logger).run()
            return 0
        } catch {
            printError("\(Product.name): \(error)")
            return error.exitCode
        }
    }
}

enum LogLevel: String, CaseIterable {
    case trace, debug, info, notice, warning, error, critical

    /// The same word of swift-log's.
    var level: Logger.Level { Logger.Level(rawValue: rawValue) ?? .info }
}
