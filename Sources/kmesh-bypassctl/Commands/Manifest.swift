internal import ArgumentParser
internal import Bypass
internal import BypassPolicy
internal import Linux

/// `manifest`: for the cluster, and so without the daemon.
struct Manifest: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Print what runs kmesh-bypass-controller on every node of a Kubernetes cluster.",
        discussion: """
            It is YAML for 'kubectl apply -f -': a ServiceAccount, the rights that it needs, and a DaemonSet. The \
            nodes must have kmesh-bypassd installed. The image is one of your own, and must have \
            kmesh-bypass-controller in its PATH.
            """)

    @Option(
        help: .init("The controller's image (default: \(ImageReference.usual)).", valueName: "image"),
        transform: parse)
    var image = ImageReference.usual

    @Option(
        help: .init(
            "The number of the nodes' group kmesh (default: that of this machine's).", valueName: "number"),
        transform: parse)
    var gid: GroupNumber?

    @Option(
        help: .init("The Kubernetes namespace to run it in (default: \(NamespaceName.usual)).", valueName: "name"),
        transform: parse)
    var namespace = NamespaceName.usual

    func run() throws {
        let manifest = ControllerManifest(image: image, group: gid ?? Self.group(), namespace: namespace)
        do throws(OutputError) {
            try Process.print(manifest.text)
        } catch {
            if !error.isReaderGone { Process.complain("cannot write the output: \(error)") }
            throw ExitCode(ExitStatus.failed.rawValue)
        }
    }

    /// Groups get their numbers as machines are set up, so another machine's can only be guessed.
    private static func group() -> GroupNumber {
        if let number = try? UserDatabase.group(named: Policy.groupName), let own = try? GroupNumber("\(number)") {
            return own
        }
        Process.complain(
            "warning: this machine has no group '\(Policy.groupName)', so its number on the nodes is taken to be "
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
