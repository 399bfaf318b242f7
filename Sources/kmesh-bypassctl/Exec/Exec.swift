internal import ArgumentParser
internal import BypassAPI
internal import Console
internal import Linux

/// `exec NETNS -- COMMAND`
struct Exec: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Run a command in a network namespace, and let only it bypass the sidecar.",
        discussion: """
            While the command runs, new connections of it and of the processes that it starts do not pass the sidecar; all \
            other traffic of the namespace does. The command enters the network namespace and nothing else: files, and so \
            /etc/resolv.conf, are those of the caller, and so are the user (but for --as) and the environment. What it \
            leaves running in the background is in the mesh again when it ends.

            This needs root, or CAP_SYS_ADMIN, to enter the namespace; control groups of version 2; and the right to turn \
            on a bypass of outbound connections. Where one of them is missing, it says so and runs nothing. The exit code \
            is that of the command, 128 and the signal that has ended it, 127 if it is not found, or 126 if it cannot be \
            run.

            EXAMPLES
              sudo kmesh-bypassctl exec web -- curl -sS http://192.0.2.1/healthz
              sudo kmesh-bypassctl exec default/web-0 --as nobody -- bash
            """)

    @OptionGroup var namespace: NamespaceArgument

    @Option(name: .customLong("as"), help: .init("Run the command as this user.", valueName: "user"))
    var user: String?

    // For tests, which cannot wait that long.
    @Option(help: .private)
    var renewal = 40

    @OptionGroup(title: "Scope") var scope: ScopeOptions
    @OptionGroup var attribution: Attribution
    @OptionGroup var common: CommonOptions

    @Argument(parsing: .postTerminator, help: "The program and its arguments, after '--'.")
    var command: [String] = []

    func validate() throws {
        if command.isEmpty { throw ValidationError("exec needs a command: exec NETNS -- COMMAND") }
    }

    mutating func run() async throws {
        try await reportingFailures(asJSON: common.json, naming: namespace.netns) {
            let user = try account()
            try await namespace.resolve()
            attribution.setDefaultOwner()
            let group = try PodEntrance.group()
            let opened = try PodEntrance.open(namespace.netns)
            let bypass = CommandBypass(
                namespace.netns, opened.inode, group: group.number, scope: try scope.scope,
                owner: attribution.owner,
                reason: attribution.reason ?? "exec: \(command[0])".fitting(bytes: Attribution.maxBytes),
                at: common.path, renewal: .seconds(renewal))
            let running = CommandInNamespace(
                command, in: opened, group: group, as: user, passingSignals: true)
            throw ExitCode(
                try await PodEntrance.translatingFailures(of: command[0], in: namespace.netns) {
                    try await bypass.during {
                        try await running.run()
                    } cleanUp: {
                        try group.remove()
                    }
                })
        }
    }

    private func account() throws -> UserDatabase.User? {
        guard let user else { return nil }
        do throws(UserDatabaseError) {
            if let found = try UserDatabase.user(named: user) { return found }
        } catch {
            throw CommandFailure("--as \(user): \(error)", .failed, kind: "user-unknown")
        }
        throw CommandFailure("--as \(user): this machine does not know the user", .usage, kind: "usage")
    }
}
