internal import ArgumentParser
internal import Bypass
internal import BypassAPI
internal import BypassPolicy
internal import Linux

/// `policy explain --user U`
struct PolicyExplain: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "explain",
        abstract: "Tell what a user may do, and which grant decides it.",
        discussion: """
            With --netns it tells of that namespace whether the user may turn its bypass on and off. A user's groups are \
            those that it gets when logging in now; a process that runs already may have others.
            """)

    @Option(help: "The user, by name or number.")
    var user: String

    @Option(
        help: .init("A network namespace: web, /proc/4711/ns/net, pid:4711 or pod:UID.", valueName: "netns"),
        completion: .shellCommand("ls /run/netns 2>/dev/null"))
    var netns: String?

    @Option(help: "Which connections are to pass the sidecar by.")
    var direction: Direction = .both

    @Option(
        name: .customLong("for"),
        help: .init("How long the bypass is to last: 90, 90s, 15m or 2h.", valueName: "time"),
        transform: TimeToLive.parse)
    var timeToLive: TimeToLive?

    @Option(
        help: .init("The policy file (default: \(PolicyFile.path)).", valueName: "path"),
        completion: .file(extensions: ["toml"]))
    var file: String?

    func validate() throws {
        if netns == nil, direction != .both || timeToLive != nil {
            throw ValidationError("--direction and --for are about turning a bypass on: name a namespace with --netns")
        }
        if let netns, NamespaceReference(netns) == nil {
            throw ValidationError("--netns must be a name under /run/netns, an absolute path, pid:NUMBER or pod:UID")
        }
    }

    func run() throws {
        try PolicySource.complaining {
            let source = try PolicySource(file ?? PolicyFile.path)
            let person = try Person(user)
            let place = netns.map { Place(lookingUp: $0) }
            let explanation = Explanation(
                source: source, person: person, place: place, hooks: direction.hooks, ttl: timeToLive?.seconds)
            try Process.print(explanation.text(.ofStandardOutput))
        }
    }
}
