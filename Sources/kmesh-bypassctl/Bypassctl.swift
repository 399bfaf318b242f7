internal import ArgumentParser
internal import BypassAPI
internal import BypassClient

/// The command line client. Each subcommand is one call of the daemon, except where its file says otherwise.
@main
struct Bypassctl: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "kmesh-bypassctl",
        abstract: "Takes the sidecar of a service mesh out of a network namespace's traffic, and puts it back.",
        discussion: """
            NETNS names a network namespace: 'web' for /run/netns/web, a path such as /proc/4711/ns/net, 'pid:4711' for \
            that of a process, 'pod:UID' for that of a Kubernetes pod on this node, 'container:ID' for that of a container \
            (12 digits of its id are enough), or 'host' for the host's own, where the policy allows it.

            EXIT CODES
              0   done
              1   the daemon or the kernel refused, or something else failed
              2   on and status: some or all connections still go to the sidecar
              3   no daemon is listening on the socket
              4   denied by the socket's permissions or by the policy, or NETNS is
                  the host's own namespace
              5   no such network namespace
              64  the command line is wrong
              130 the demo was interrupted
            """,
        version: Product.version,
        subcommands: [
            On.self, Off.self, Extend.self, Status.self, Explain.self, List.self, Watch.self, Clear.self, Info.self,
            Metrics.self,
            PolicyCommand.self, Manifest.self, Doctor.self, Demo.self,
        ]
    )
}

/// Exit codes other than 0; the command's help lists them.
enum ExitStatus: Int32 {
    case failed = 1
    case notEffective = 2
    case noDaemon = 3
    case denied = 4
    case noNamespace = 5

    init(_ error: BypassClientError) {
        switch error {
        case .daemonNotRunning: self = .noDaemon
        case .accessDenied: self = .denied
        case .refused(let error): self.init(error.known)
        case .connectFailed, .connectionClosed, .timedOut, .cancelled, .invalidAnswer, .invalidRequest: self = .failed
        }
    }

    /// nil of a bypass that does what was asked for, and of one that is off: nothing was asked for.
    init?(_ bypass: BypassStatus) {
        if bypass.state == .off || bypass.effective { return nil }
        self = .notEffective
    }

    private init(_ code: ErrorCode?) {
        switch code {
        case .permissionDenied, .hostNetnsRefused: self = .denied
        case .netnsNotFound, .notANetns: self = .noNamespace
        case .kernelRefused, .unsupported, .limitExceeded, .conflict, .netnsMismatch, nil: self = .failed
        }
    }
}

/// What is wrong, and what can be done about it.
func advice(on error: BypassClientError) -> String {
    switch error {
    case .daemonNotRunning(Product.socketPath):
        "\(error): start it with 'systemctl start \(Product.name)'"
    case .daemonNotRunning:
        "\(error): start it, or name another socket with --socket or \(Product.socketVariable)"
    case .accessDenied:
        "\(error): become root or a member of the group 'kmesh'"
    case .connectionClosed, .timedOut, .invalidAnswer:
        "\(error): 'journalctl -u \(Product.name)' may say why"
    case .connectFailed, .cancelled, .refused, .invalidRequest:
        error.description
    }
}
