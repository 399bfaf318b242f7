internal import ArgumentParser
internal import BypassAPI
internal import BypassClient
internal import Commands
internal import Console
internal import MeshSandbox
internal import SignalHandling

/// A mesh in miniature, and its bypass, on real namespaces. `kmesh-bypassctl demo` executes this.
@main
struct DemoCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "kmesh-bypass-demo",
        abstract: "Shows a bypass at work, in two network namespaces made for it.",
        discussion: """
            Makes a pod-like namespace with a sidecar and an app, a second one for its peer, and redirect rules as a mesh \
            sets them; then shows who answers before, during and after a bypass. Uses the running daemon, or starts its \
            own on a private socket. At the end, and after Ctrl-C, it removes everything that it made. Needs root.

            Exit codes: 0 done; 1 failed; 4 not root; 64 the command line is wrong; 130 interrupted.

            EXAMPLE
              sudo kmesh-bypassctl demo --mesh nftables
            """,
        version: "kmesh-bypass-demo " + Product.fullVersion)

    @Option(help: "The redirect rules to simulate: iptables, iptablesLegacy, nftables or tproxy.")
    var mesh = MeshSandbox.Mesh.iptables

    @Option(
        help: .init(
            "Use the daemon on this socket, if one runs (default: $\(Product.socketVariable), else \(Product.socketPath)).",
            valueName: "path"),
        completion: .file())
    var socket: String?

    /// kmesh-bypassctl's codes for the same failures.
    private enum ExitStatus {
        static let failed = ExitCode(1)
        static let denied = ExitCode(4)
        /// As a shell has it for a command that SIGINT ended.
        static let interrupted = ExitCode(130)
    }

    static func main() async { await execute() }

    func run() async throws {
        guard Console.isRoot else {
            Console.printError("the demo makes network namespaces: run it as root")
            throw ExitStatus.denied
        }
        let path = socket ?? Console.environment(Product.socketVariable) ?? Product.socketPath
        do {
            try await Interruption.cancelling {
                try await DemoDaemon.with(socket: path) { daemon in
                    try await DemoScript(mesh: mesh, daemon: daemon).play()
                }
            }
        } catch is Interruption {
            Console.printError("interrupted; everything that the demo made was removed")
            throw ExitStatus.interrupted
        } catch let error as OutputError where error.isReaderGone {
            throw ExitStatus.failed
        } catch {
            Console.printError("the demo failed: \(error)")
            throw ExitStatus.failed
        }
    }
}

extension MeshSandbox.Mesh: ExpressibleByArgument {}

/// The daemon that the demo calls: the running one, or one for the demo alone.
struct DemoDaemon: Sendable {
    var socket: String
    /// For people: where it came from.
    var origin: String

    static func with(socket: String, _ body: (DemoDaemon) async throws -> Void) async throws {
        if let client = try? await BypassClient.connect(to: socket) {
            await client.close()
            return try await body(DemoDaemon(socket: socket, origin: "the daemon that listens on \(socket)"))
        }
        try await BPFFileSystem.with { bpffs in
            try await TemporaryFolder.with("kmesh-demo") { folder in
                let daemon = try await DaemonProcess.start(
                    .init(
                        socket: folder.path + "/bypassd.sock", bpffs: bpffs.path,
                        stateDirectory: folder.path + "/state", logLevel: "warning"))
                do {
                    try await body(DemoDaemon(socket: daemon.socket, origin: "one that runs for the demo alone"))
                } catch {
                    _ = try? await daemon.terminate()
                    throw error
                }
                _ = try await daemon.terminate()
            }
        }
    }
}
