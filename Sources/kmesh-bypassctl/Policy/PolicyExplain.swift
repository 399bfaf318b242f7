internal import ArgumentParser
internal import Bypass
internal import BypassAPI
internal import BypassPolicy
internal import Console
internal import Linux

/// `policy explain --user U`
struct PolicyExplain: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "explain",
        abstract: "Show what a user may do, and which grant decides it.",
        discussion: """
            With --netns it shows whether the user may turn the bypass of that namespace on and off. The user's groups are \
            those of a new login; a running process may have others.

            EXAMPLES
              kmesh-bypassctl policy explain --user alice
              kmesh-bypassctl policy explain --user alice --netns web --for 8h
            """)

    @Option(help: "The user, by name or number.")
    var user: String

    @Option(
        help: .init(
            "A network namespace: web, /proc/4711/ns/net, pid:4711, pod:UID, container:ID or host.",
            valueName: "netns"),
        completion: .namespaces)
    var netns: String?

    @Option(help: "The direction of the connections that bypass the sidecar.")
    var direction: Direction = .both

    @OptionGroup(title: "Scope") var scope: ScopeOptions

    @Option(
        name: .customLong("for"),
        help: .init("The time to live of the bypass: 90, 90s, 15m, 1h30m or 1d.", valueName: "time"),
        transform: TimeToLive.parse)
    var timeToLive: TimeToLive?

    @Option(
        help: .init("The policy file (default: \(PolicyFile.path)).", valueName: "path"),
        completion: .file(extensions: ["toml"]))
    var file: String?

    @OptionGroup var output: PolicyOutput

    func validate() throws {
        if netns == nil, try direction != .both || timeToLive != nil || scope.scope != .all {
            throw ValidationError(
                "--direction, --for and a scope are about turning a bypass on: name a namespace with --netns")
        }
        if let netns, NamespaceReference(netns) == nil {
            throw ValidationError("--netns must be \(NamespaceReference.forms)")
        }
    }

    func run() throws {
        try PolicySource.reportingErrors(asJSON: output.json) {
            let source = try PolicySource(file ?? PolicyFile.path)
            let account = try User(user)
            let target = netns.map { Target(lookingUp: $0) }
            let explanation = Explanation(
                source: source, user: account, target: target, hooks: direction.hooks, scope: try scope.scope,
                ttl: timeToLive?.seconds)
            try output.print(explanation.result, text: explanation.text)
        }
    }
}

extension PolicyExplain {
    /// The user whose permissions are explained.
    struct User {
        var caller: Caller
        /// For people: name, number and groups.
        var description: String

        init(caller: Caller, description: String) {
            self.caller = caller
            self.description = description
        }

        init(_ written: String) throws(PolicySource.Failure) {
            do {
                if let user = try UserDatabase.user(named: written)
                    ?? UInt32(written).flatMap({ try UserDatabase.user(numbered: $0) })
                {
                    let groups = UserDatabase.groups(of: user)
                    let names = try groups.map { try UserDatabase.groupName(numbered: $0) ?? "\($0)" }
                    caller = Caller(uid: user.uid, gid: user.gid, groups: groups)
                    description = "\(user.name) (uid \(user.uid)), in groups \(names.joined(separator: ", "))"
                    return
                }
            } catch {
                throw PolicySource.Failure(
                    lines: ["the user \(written) cannot be looked up now: \(error)"], kind: "user-unknown")
            }
            guard let uid = UInt32(written), uid != .max else {
                throw PolicySource.Failure(lines: ["no user is named \(written.quoted)"], kind: "user-unknown")
            }
            // No group has the highest number.
            caller = Caller(uid: uid, gid: .max)
            description = "uid \(uid), without an account on this machine: in no group"
        }
    }
}

extension PolicyExplain {
    /// The namespace that a bypass would be for.
    struct Target {
        var netns: String
        var reference: String?
        var names: [String] = []
        var isHost = false
        /// The reason that the namespace could not be opened.
        var openError: String?

        init(netns: String, names: [String] = [], isHost: Bool = false, openError: String? = nil) {
            self.netns = netns
            self.names = names
            self.isHost = isHost
            self.openError = openError
        }

        init(lookingUp netns: String) {
            self.netns = netns
            guard let reference = NamespaceReference(netns) else { return }
            self.reference = reference.canonical
            do throws(NamespaceError) {
                let namespace = try reference.open()
                names = ((try? NamespaceReference.named(inode: namespace.inode)) ?? []).map(\.canonical)
                isHost = HostNamespace.inodes.contains(namespace.inode)
            } catch {
                openError = Self.reason(for: error)
                switch error {
                case .firstProcess, .workloadOnHost: isHost = true
                default: break
                }
            }
        }

        private static func reason(for error: NamespaceError) -> String {
            switch error {
            case .notFound: "there is no such namespace now"
            case .systemCall(let error), .firstProcess(let error): "\(error)"
            case .notFollowed(let sentence), .ambiguous(let sentence): sentence
            case .workloadOnHost: "its processes are in the host's namespace"
            case .notNetworkNamespace, .hiddenFromCaller: "it is not a network namespace"
            }
        }
    }
}
