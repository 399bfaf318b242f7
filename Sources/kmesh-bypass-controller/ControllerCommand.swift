import ArgumentParser
import BypassAPI
import BypassController
import Commands
import Console
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
            Watches the node's labelled pods, and asks kmesh-bypassd to bypass them. Needs no privilege but access to the \
            daemon's socket. Bypasses outlive the controller: stopping it ends none; starting it without \
            --enable-bypass=true ends those that it has made.

            Exit status: 0 after SIGTERM; 64 wrong arguments; 69 the health port is not available; 78 no API server or \
            no node name is configured.
            """,
        version: "kmesh-bypass-controller " + Product.fullVersion,
        subcommands: [Run.self, Probe.self], defaultSubcommand: Run.self)

    static func main() async { await execute() }
}

struct Run: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Run until SIGTERM (default).")

    @Option(
        help: "true: bypass labelled pods. false: end the bypasses that a controller has made, and do nothing else.")
    var enableBypass = false

    @Option(help: ArgumentHelp("The node's name in Kubernetes (or set NODE_NAME).", valueName: "name"))
    var nodeName: String?

    @Option(help: ArgumentHelp("The daemon's socket (or set \(Product.socketVariable)).", valueName: "path"))
    var socket: String?

    @Option(
        help: ArgumentHelp(
            "Kubeconfig of the API server (default: KUBECONFIG, the pod's service account, or ~/.kube/config).",
            valueName: "file"))
    var kubeconfig: String?

    @Option(
        name: .customLong("sidecar"),
        help: ArgumentHelp(
            "Another container that is a sidecar, besides those of the known meshes. May be given more than once.",
            valueName: "container"))
    var sidecars: [String] = []

    @OptionGroup var health: HealthAddress

    @Flag(help: "Show the daemon's metrics on /metrics as well: for Prometheus, which cannot reach the daemon.")
    var daemonMetrics = false

    @Option(
        help: ArgumentHelp("Minimum log level.", valueName: "level"),
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
            throw fail(78, "the node's name is unknown. Name it with --node-name, or set NODE_NAME (kubectl get nodes)")
        }
        var logger = Logger(label: "kmesh-bypass-controller", factory: { StreamLogHandler.standardError(label: $0) })
        logger.logLevel = logLevel
        var configuration = ControllerService.Configuration(node: node)
        configuration.isEnabled = enableBypass
        configuration.socket = socket ?? ProcessEnvironment[Product.socketVariable] ?? Product.socketPath
        configuration.sidecars = sidecars
        configuration.showsDaemonMetrics = daemonMetrics
        (configuration.healthHost, configuration.healthPort) = (health.host, health.port)
        let service: ControllerService
        do throws(AccessError) {
            let access = try await ClusterAccess.find(kubeconfig: kubeconfig, environment: { ProcessEnvironment[$0] })
            service = try ControllerService(configuration, access, logger: logger)
        } catch {
            throw fail(78, error.description)
        }
        do {
            try await ServiceGroup(
                services: [service], gracefulShutdownSignals: [.sigterm, .sigint], logger: logger
            ).run()
        } catch let error as HealthListenError {
            throw fail(69, error.description)
        }
    }

    private func fail(_ code: Int32, _ message: String) -> ExitCode {
        printError("kmesh-bypass-controller: \(message)")
        return ExitCode(code)
    }
}

struct Probe: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Check a controller that runs on this host: exit status 0 or 1.",
        discussion: "For exec probes: the kubelet cannot reach a loopback port itself.")

    enum Page: String, CaseIterable, ExpressibleByArgument {
        case healthz, readyz, metrics
    }

    @Argument(help: "healthz: it is running. readyz: it is synced and connected. metrics: print its metrics.")
    var page: Page

    @OptionGroup var health: HealthAddress

    func run() async throws {
        let response = await HealthProbe.get(host: health.host, port: health.port, "/" + page.rawValue)
        try Console.print(response.text)
        if !response.isHealthy { throw ExitCode(1) }
    }
}

/// The option that both subcommands have.
struct HealthAddress: ParsableArguments {
    @Option(help: ArgumentHelp("Address of /healthz, /readyz and /metrics.", valueName: "host:port"))
    var healthAddress = "127.0.0.1:9466"

    func validate() throws {
        guard let colon = healthAddress.lastIndex(of: ":"), let port = Int(healthAddress[colon...].dropFirst()),
            (0...65535).contains(port), colon != healthAddress.startIndex
        else { throw ValidationError("--health-address must be HOST:PORT, such as 127.0.0.1:9466") }
    }

    /// Without the brackets of an IPv6 address.
    var host: String {
        String(
            healthAddress[..<(healthAddress.lastIndex(of: ":") ?? healthAddress.endIndex)].filter { !"[]".contains($0) }
        )
    }

    var port: Int {
        healthAddress.lastIndex(of: ":").flatMap { Int(healthAddress[$0...].dropFirst()) } ?? 0
    }
}
