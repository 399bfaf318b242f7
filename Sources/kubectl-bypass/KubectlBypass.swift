internal import ArgumentParser
internal import BypassAPI
internal import Commands
internal import Console

/// The plugin of kubectl. It changes and reads pods through the API server; the controller on their nodes does the rest.
@main
struct KubectlBypass: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: completesItself ? "kubectl-bypass" : "kubectl bypass",
        abstract: "Takes the sidecars of pods out of their traffic, and puts them back.",
        discussion: """
            Sets the label kmesh.net/bypass and its annotations, which kmesh-bypass-controller on the pod's node acts on, \
            and shows what it reports. Needs a kubeconfig, as kubectl does, and permission to get, list and patch pods.

            TARGET is POD, pod/POD, or deploy, sts, ds, rs or job with /NAME: all pods of that.

            EXAMPLES
              kubectl bypass on web-0 --for 15m --reason INC-4711
              kubectl bypass on deploy/web -n shop --direction inbound --port 8080
              kubectl bypass list -A
              kubectl bypass off web-0

            EXIT CODES (of several pods, that of the worst)
              0   done
              1   failed: refused, denied, not found, or not reachable
              2   on, status: some or all connections still go to the sidecar;
                  off: rules of another program still bypass it
              64  the command line is wrong
              124 no result within --timeout
            """,
        version: "kubectl-bypass " + Product.fullVersion,
        subcommands: [On.self, Off.self, Status.self, List.self]
    )

    /// Whether a script is asked for with which a shell completes the program by its own name, not by kubectl's.
    private static let completesItself = CommandLine.arguments.contains("--generate-completion-script")

    static func main() async {
        if Console.programName == Completion.program {
            let completion = Completion(Array(CommandLine.arguments.dropFirst()))
            try? Console.print(await completion.text())
            return
        }
        await execute(failed: { error in
            guard let failure = error as? Failure else { return nil }
            Console.printError(failure.message)
            return ExitCode(failure.outcome.rawValue)
        })
    }
}
