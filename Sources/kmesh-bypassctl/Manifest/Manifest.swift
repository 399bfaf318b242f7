internal import ArgumentParser
internal import Bypass
internal import BypassPolicy
internal import Console
internal import Linux

/// `manifest`: for the cluster, and so without the daemon.
struct Manifest: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Print the manifest that runs kmesh-bypass-controller on every node of a Kubernetes cluster.",
        discussion: """
            It is YAML for 'kubectl apply -f -': a ServiceAccount, the permissions that it needs, policies that limit them to \
            its own node, and a DaemonSet. The nodes must have kmesh-bypassd installed, or run it in a DaemonSet too \
            (--daemon). systemd/image.sh makes the images. systemd/chart has the same as a Helm chart.

            EXAMPLE
              kmesh-bypassctl manifest --image registry.example/kmesh-bypass-controller:1 | kubectl apply -f -
            """)

    @Option(
        help: .init("The controller's image (default: \(ImageReference.usual)).", valueName: "image"),
        transform: parse)
    var image = ImageReference.usual

    @Option(
        help: .init(
            "The number of the group kmesh on the nodes (default: its number on this machine).", valueName: "number"),
        transform: parse)
    var gid: GroupNumber?

    @Option(
        help: .init("The Kubernetes namespace to run it in (default: \(NamespaceName.usual)).", valueName: "name"),
        transform: parse)
    var namespace = NamespaceName.usual

    @Flag(
        inversion: .prefixedNo,
        help: """
            Limit the controller's token to what it writes, on its own node, by ValidatingAdmissionPolicies. They need \
            Kubernetes 1.30.
            """)
    var admissionPolicy = true

    @Option(
        name: .customLong("node-selector"),
        help: .init(
            "Run it only on nodes with this label, such as one of nodes that have kmesh-bypassd. Repeatable.",
            valueName: "key=value"),
        transform: parse)
    var nodeSelector: [NodeLabel] = []

    @Flag(help: "Run kmesh-bypassd in a DaemonSet as well, for nodes where it cannot be installed.")
    var daemon = false

    @Option(
        help: .init("The daemon's image (default: \(ImageReference.usualOfDaemon)).", valueName: "image"),
        transform: parse)
    var daemonImage = ImageReference.usualOfDaemon

    @Flag(help: "Serve metrics on the pods' network, with a PodMonitor for Prometheus' operator.")
    var monitoring = false

    @Option(
        help: .init(
            "With --monitoring: also print a PrometheusRule of these rules (systemd/monitoring/alerts.yaml).",
            valueName: "file"))
    var alerts: String?

    @Option(
        name: .customLong("label-policy"),
        help: .init(
            "Print only a sample policy: no one but members of this group may set the label. Repeatable.",
            valueName: "group"),
        transform: parse)
    var labelGroups: [GroupName] = []

    func validate() throws {
        if alerts != nil, !monitoring { throw ValidationError("--alerts needs --monitoring") }
    }

    /// The printed text.
    func text() throws(SystemCallError) -> String {
        if !labelGroups.isEmpty {
            return AdmissionPolicies(namespace: "\(namespace)").forLabel(groups: labelGroups)
        }
        var options = ManifestOptions()
        (options.image, options.daemonImage) = (image, daemonImage)
        (options.group, options.namespace) = (gid ?? Self.group(), namespace)
        (options.hasAdmissionPolicies, options.nodeSelector) = (admissionPolicy, nodeSelector)
        (options.hasDaemon, options.hasMonitoring) = (daemon, monitoring)
        if let alerts { options.alerts = try Files.text(alerts) }
        return PlainManifest(options: options).text
    }

    func run() throws {
        let text: String
        do throws(SystemCallError) {
            text = try self.text()
        } catch {
            Console.printError("cannot read the rules: \(error)")
            throw ExitCode(ExitStatus.failed.rawValue)
        }
        try Console.print(text)
    }

    /// Group numbers depend on how a machine was set up, so another machine's can only be guessed.
    private static func group() -> GroupNumber {
        if let number = try? UserDatabase.group(named: Policy.groupName), let own = try? GroupNumber("\(number)") {
            return own
        }
        Console.printError(
            "warning: this machine has no group '\(Policy.groupName)', so its number on the nodes is assumed to be "
                + "\(GroupNumber.usual): run 'getent group \(Policy.groupName)' on a node, and give it with --gid")
        return .usual
    }

    private static func parse<Value: ManifestValue>(_ text: String) throws -> Value {
        do throws(Malformed) {
            return try Value(text)
        } catch {
            throw ValidationError(error.description)
        }
    }
}
