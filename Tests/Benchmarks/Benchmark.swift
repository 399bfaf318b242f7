import ArgumentParser
import MeshSandbox

/// What the daemon costs, over its socket, on this machine, beside the iptables executions that it replaces.
///
/// Machines are noisy: what is compared is interleaved in one run, and medians are reported.
@main
struct Benchmark: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "bypass-benchmark",
        abstract: "Measures a release build of kmesh-bypassd over its socket, and the iptables executions it replaces.",
        discussion: "Needs root. Build everything with the flags of systemd/install.sh first.")

    @Option(help: "The daemon to measure.")
    var daemon: String?

    @Option(help: "Calls of each kind in the interleaved comparison, 40 ms after each other.")
    var rounds = 100

    @Option(help: "Namespaces for what is measured with many.")
    var namespaces = 200

    func run() async throws {
        try await BPFFileSystem.with { bpffs in
            try await TemporaryFolder.with("kmesh-benchmark") { folder in
                let options = DaemonProcess.Options(
                    executable: daemon, socket: folder.path + "/bypassd.sock", bpffs: bpffs.path,
                    stateDirectory: folder.path + "/state", logLevel: "warning",
                    // The daemon may not have noticed yet that earlier clients have left.
                    arguments: ["--max-user-connections", "128"])
                try await Startup.measure(options)
                try await Footprint.binary(options)
                let running = try await DaemonProcess.start(options)
                try await Comparison.measure(running, rounds: rounds)
                try await Load.measure(running, connections: 64)
                try await Fleet.measure(running, count: namespaces)
                try await Footprint.manyCalls(running)
                guard try await running.terminate() == .code(0) else { throw ExitCode.failure }
            }
        }
    }
}
