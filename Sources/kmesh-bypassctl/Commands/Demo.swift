public import ArgumentParser
public import Testbed

/// `demo`: a mesh in miniature, and its bypass, for real.
struct Demo: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Show a bypass at work, in two network namespaces made for it.",
        discussion: """
            Makes a pod-like namespace with a sidecar and an app, a second one to talk to, and redirect rules as a mesh \
            sets them; then asks who answers before, during and after a bypass. Uses the running daemon, or starts one \
            of its own on a private socket. Everything it made is gone at the end, also after Ctrl-C. Needs root.
            """)

    @Option(help: "Whose redirect rules to play: iptables, iptablesLegacy or nftables.")
    var mesh = Testbed.Mesh.iptables

    @Option(
        help: .init("Use the daemon that listens here, if one does.", valueName: "path"),
        completion: .file())
    var socket: String?

    func run() async throws {
        guard Process.isRoot else {
            Process.complain("the demo makes network namespaces: run it as root")
            throw ExitCode(ExitStatus.denied.rawValue)
        }
        do {
            try await Interruption.cancelling {
                try await DemoDaemon.with(socket: socket ?? CommonOptions.defaultPath) { daemon in
                    try await DemoScript(mesh: mesh, daemon: daemon).play()
                }
            }
        } catch is Interruption {
            Process.complain("interrupted; everything that the demo made is gone again")
            throw ExitCode(ExitStatus.interrupted.rawValue)
        } catch let error as OutputError where error.isReaderGone {
            throw ExitCode(ExitStatus.failed.rawValue)
        } catch {
            Process.complain("the demo failed: \(error)")
            throw ExitCode(ExitStatus.failed.rawValue)
        }
    }
}

extension Testbed.Mesh: ExpressibleByArgument {}
