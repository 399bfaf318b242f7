import ArgumentParser
import BypassAPI
import BypassController
import Kubernetes
import Linux
import Logging
import ServiceLifecycle
import UnixSignals

/// Arguments and wiring; everything else is in `BypassController`.
@main
struct ControllerCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "kmesh-bypass-controller",
        abstract: "Bypasses the sidecar of every pod on this node that has label kmesh.net/bypass=enabled.",
        discussion: """
            Watches the node's labelled pods, and asks kmesh-bypassd to bypass them. Needs no privilege but to reach the \
            daemon's socket. Bypasses outlive it: ending the controller ends none; starting it without \
            --enable-bypass=true ends those that it has made.

            Exit status: 0 after SIGTERM; 64 wrong arguments; 69 the port for health cannot be had; 78 no way to the API \
            server, or no node's name.
            """,
        version: Product.version, subcommands: [Run.self, Probe.self], defaultSubcommand: Run.self)
}

struct Run: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Run until SIGTERM (this is what happens without a word).")

    @Option(help: "true: do what labels ask for. false: end what was done for them, and do nothing else.")
    var enableBypass = false

    @Option(help: ArgumentHelp("This node's name, as Kubernetes has it (or set NODE_NAME).", valueName: "name"))
    var nodeName: String?

    @Option(help: ArgumentHelp("The daemon's socket (or set \(Product.socketVariable)).", valueName: "path"))
    var socket: String?

    @Option(
        help: ArgumentHelp(
            "How to reach the API server (else KUBECONFIG, the pod's service account, or ~/.kube/config).",
            valueName: "file"))
    var kubeconfig: String?

    @OptionGroup var health: HealthAddress

    @Option(
        help: ArgumentHelp("Log this and what is worse.", valueName: "level"),
        transform: { text in
            guard let level = Logger.Level(rawValue: text) else {
                let levels = Logger.Level.allCases.map(\.rawValue).joined(separator: ", ")
                throw ValidationError("there is no level \(text): it is one of \(levels)")
            }
            return level
        })
    var logLevel = Logger.Level.info

    func run() async throws {
        guard let node = nodeName ?? ProcessEnvironment["NODE_NAME"], !node.isEmpty else {
            throw fail(78, "which node is this? Name it with --node-name, or set NODE_NAME (kubectl get nodes)")
        }
        var logger = Logger(label: "kmesh-bypass-controller", factory: { StreamLogHandler.standardError(label: $0) })
        logger.logLevel = logLevel
        var configuration = ControllerService.Configuration(node: node)
        configuration.isEnabled = enableBypass
        configuration.socket = socket ?? ProcessEnvironment[Product.socketVariable] ?? Product.socketPath
        (configuration.healthHost, configuration.healthPort) = (health.host, health.port)
        let service: ControllerService
        do throws(AccessError) {
            let access = try ClusterAccess.find(kubeconfig: kubeconfig, environment: { ProcessEnvironment[$0] })
            service = try ControllerService(configuration, access, logger: logger)
        } catch {
            throw fail(78, error.description)
        }
        do {
            try await ServiceGroup(
                services: [service], gracefulShutdownSignals: [.sigterm, .sigint], logger: logger
            ).run()
        } catch let error as HealthPortTaken {
            throw fail(69, error.description)
        }
    }

    private func fail(_ code: Int32, _ message: String) -> ExitCode {
        printError("kmesh-bypass-controller: \(message)")
        return ExitCode(code)
    }
}
