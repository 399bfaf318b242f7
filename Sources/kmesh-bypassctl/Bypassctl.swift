internal import ArgumentParser
internal import BypassAPI
internal import BypassClient
internal import Commands
internal import Console
internal import JSONRPC

/// The command line client. Each subcommand is one call of the daemon, except where its file says otherwise.
@main
struct Bypassctl: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "kmesh-bypassctl",
        abstract: "Takes the sidecar of a service mesh out of a network namespace's traffic, and puts it back.",
        discussion: """
            NETNS names a network namespace: 'web' for /run/netns/web, a path such as /proc/4711/ns/net, 'pid:4711' for \
            that of a process, 'pod:UID' for that of a Kubernetes pod on this node, 'container:ID' for that of a container \
            (12 digits of its id are enough), or 'host' for the host's own, where the policy allows it. Where kubectl has a \
            kubeconfig, 'NAMESPACE/POD' and 'pod/NAME' name a pod, too. 'kmesh-bypassctl namespaces' lists what there is.

            EXAMPLES
              kmesh-bypassctl status
              kmesh-bypassctl on web --for 15m --reason INC-4711
              kmesh-bypassctl explain web --to 192.0.2.1:80
              kmesh-bypassctl off web
              sudo kmesh-bypassctl exec web -- curl http://192.0.2.1/
              sudo kmesh-bypassctl compare web --to 192.0.2.1:80 --http /

            EXIT CODES
              0   done
              1   the daemon or the kernel refused, or something else failed
              2   on, status, exec and compare: some or all connections still go to the sidecar
              3   no daemon is listening on the socket
              4   denied by the socket's permissions or by the policy, or NETNS is
                  the host's own namespace
              5   no such network namespace
              64  the command line is wrong
              130 demo or compare was interrupted
            'exec' ends with the exit code of the command; 126 or 127 if the command cannot
            be run.
            """,
        version: "kmesh-bypassctl " + Product.fullVersion,
        subcommands: [
            On.self, Off.self, Extend.self, Status.self, Explain.self, Trace.self, List.self, Namespaces.self,
            Watch.self, Clear.self, Info.self, Metrics.self, Exec.self, Compare.self, CompareWorker.self,
            PolicyCommand.self, Manifest.self, Doctor.self, Support.self, Demo.self,
        ]
    )

    static func main() async {
        let arguments = CommonOptions.behindCommand(Array(CommandLine.arguments.dropFirst()), of: Self.self)
        await execute(arguments, misused: { usageFailure(arguments, $0) })
    }

    /// Reports a wrong command line where the parser does not say enough.
    ///
    /// - Returns: how to exit; nil if it is the parser that reports the error.
    private static func usageFailure(_ arguments: [String], _ error: any Error) -> ExitCode? {
        guard exitCode(for: error).rawValue == ExitStatus.usage.rawValue else { return nil }
        // What follows is another program's.
        let asJSON = arguments.prefix { $0 != "--" }.contains("--json")
        let message = CommandHint(Self.self, arguments).text
        if message == nil && !asJSON { return nil }
        return CommandFailure(message ?? self.message(for: error), .usage, kind: "usage").report(asJSON: asJSON)
    }
}

/// Exit codes other than 0; the command's help lists them.
enum ExitStatus: Int32 {
    case failed = 1
    case notEffective = 2
    case noDaemon = 3
    case denied = 4
    case noNamespace = 5
    /// EX_USAGE of sysexits(3).
    case usage = 64
    /// As a shell has them: a command that cannot be run, and one that is not found.
    case commandNotRunnable = 126
    case commandNotFound = 127
    /// As a shell has it for a command that SIGINT ended.
    case interrupted = 130

    init(_ error: BypassClientError) {
        switch error {
        case .daemonNotRunning: self = .noDaemon
        case .accessDenied: self = .denied
        case .refused(let error) where error.code == ErrorObject.invalidParams.code: self = .usage
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
