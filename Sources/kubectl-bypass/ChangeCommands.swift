internal import ArgumentParser
internal import BypassAPI
internal import Console
internal import Kubernetes
internal import PodBypass

/// Whether to wait for what comes of a change, as `on` and `off` take it.
struct WaitOptions: ParsableArguments {
    @Flag(
        inversion: .prefixedNo,
        help: "Wait until the pod's status says what came of it (default: at a terminal).")
    var wait: Bool?

    @Option(
        help: .init("Wait no longer than this: 30s, 5m (default: 60s).", valueName: "time"),
        transform: { try TimeToLive($0) })
    var timeout: TimeToLive?

    private static let usualSeconds = 60

    /// nil without waiting.
    var duration: Duration? {
        wait ?? Console.isOutputTerminal ? .seconds(timeout?.seconds ?? Self.usualSeconds) : nil
    }
}

/// `on TARGET…`
struct On: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Take the sidecars of pods out of their traffic.",
        discussion: """
            New connections no longer pass the sidecar; established ones keep their path, unless --reset ends them. What an \
            earlier 'on' has set, and this one does not, is removed. The pod also gets your name \
            and the time, for 'list': claims, since everyone who may patch the pod may change them.

            EXAMPLES
              kubectl bypass on web-0 --for 15m --reason INC-4711
              kubectl bypass on -l app=web -A --direction inbound --port 8080
            """)

    @OptionGroup var targets: TargetOptions

    @Option(
        name: .customLong("for"), help: .init("Expire after this time: 90s, 15m, 1h30m or 1d.", valueName: "time"))
    var timeToLive: String?

    @Option(help: .init("Which connections: both, inbound or outbound (default: both).", valueName: "direction"))
    var direction: String?

    @Option(
        name: .customLong("port"),
        help: .init("Only connections to these ports: 8080,9000-9100. Repeatable.", valueName: "ports"))
    var ports: [String] = []

    @Option(
        name: .customLong("network"),
        help: .init(
            "Only connections with these networks on the other side: 10.0.0.0/8. Repeatable.", valueName: "networks"))
    var networks: [String] = []

    @Flag(help: "End open TCP connections that are still in the sidecar, so that they are made again.")
    var reset = false

    @Option(help: .init("Why: up to 256 bytes.", valueName: "text"))
    var reason: String?

    @OptionGroup var waiting: WaitOptions
    @OptionGroup var cluster: ClusterOptions

    /// By annotation, with the option's name.
    private var options: [(annotation: String, option: String, value: String?)] {
        [
            (Annotations.ttl, "--for", timeToLive), (Annotations.direction, "--direction", direction),
            (Annotations.ports, "--port", ports.isEmpty ? nil : ports.joined(separator: ",")),
            (Annotations.networks, "--network", networks.isEmpty ? nil : networks.joined(separator: ",")),
            (Annotations.connections, "--reset", reset ? OpenConnections.reset.rawValue : nil),
            (Annotations.reason, "--reason", reason),
        ]
    }

    func validate() throws {
        // As the controller will read it.
        for (annotation, option, value) in options {
            guard let value else { continue }
            do throws(BypassSpec.Malformed) {
                _ = try BypassSpec(annotations: [annotation: value])
            } catch {
                throw ValidationError(error.message.replacing("annotation " + annotation, with: option))
            }
        }
    }

    func run() async throws {
        let values = Dictionary(options.compactMap { entry in entry.value.map { (entry.annotation, $0) } }) { $1 }
        try await cluster.withCluster { cluster in
            let (pods, failures) = try await cluster.pods(of: targets, isForStart: true)
            let change = PodChange(cluster: cluster, goal: .on(values), user: await cluster.userName())
            let run = ChangeRun(change: change, timeout: waiting.duration, isJSON: self.cluster.isJSON)
            try await run.run(pods, failures)
        }
    }
}

/// `off TARGET…`
struct Off: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Put the sidecars of pods back into their traffic.",
        discussion: """
            Succeeds if they are back already. Open connections are ended if 'on' was called with --reset.

            EXAMPLES
              kubectl bypass off web-0
              kubectl bypass off deploy/web --wait --timeout 2m
            """)

    @OptionGroup var targets: TargetOptions
    @OptionGroup var waiting: WaitOptions
    @OptionGroup var cluster: ClusterOptions

    func run() async throws {
        try await cluster.withCluster { cluster in
            let (pods, failures) = try await cluster.pods(of: targets)
            let change = PodChange(cluster: cluster, goal: .off, user: nil)
            let run = ChangeRun(change: change, timeout: waiting.duration, isJSON: self.cluster.isJSON)
            try await run.run(pods, failures)
        }
    }
}
