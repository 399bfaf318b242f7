internal import ArgumentParser
internal import Bypass
internal import BypassAPI
internal import BypassClient
internal import Console

/// A subcommand that makes one call and prints the result.
protocol DaemonCommand: AsyncParsableCommand {
    associatedtype Method: RPCMethod

    var common: CommonOptions { get }
    var parameters: Method.Parameters { get throws }
    /// The name of the namespace that the call is about, as it was written.
    var netns: String? { get }
    /// Completes what was written by what only this machine knows, before the call.
    mutating func prepare() async throws
    /// The result for people, with a line feed at its end.
    func text(of result: Method.Result, _ style: Style) -> String
    /// The exit status after a result, if not 0.
    func failure(in result: Method.Result) -> ExitStatus?
}

extension DaemonCommand {
    var netns: String? { nil }

    mutating func prepare() async throws {}

    func failure(in result: Method.Result) -> ExitStatus? { nil }

    mutating func run() async throws {
        try await reportingFailures(asJSON: common.json, naming: netns) {
            try await prepare()
            try await call(Method.self, with: try parameters, common, text: text, failure: failure)
        }
    }
}

/// Makes one call, prints its result, and throws how to exit if not with 0.
func call<Method: RPCMethod>(
    _: Method.Type, with parameters: Method.Parameters, _ common: CommonOptions,
    text: (Method.Result, Style) -> String, failure: (Method.Result) -> ExitStatus?
) async throws {
    let client = try await BypassClient.connect(to: common.path)
    let answer = try await client.answer(Method.self, with: parameters)
    try Console.print(common.json ? answer.json + "\n" : text(answer.result, .ofStandardOutput))
    if let failure = failure(answer.result) { throw ExitCode(failure.rawValue) }
}

/// A subcommand about one namespace.
protocol NamespaceCommand: DaemonCommand {
    associatedtype Namespace: NamespaceOperand

    var namespace: Namespace { get set }
}

extension NamespaceCommand {
    var netns: String? { namespace.netns }

    mutating func prepare() async throws { try await namespace.resolve() }
}

/// Options that every subcommand has.
struct CommonOptions: ParsableArguments {
    @Option(
        help: .init(
            "The daemon's socket (default: $\(Product.socketVariable), else \(Product.socketPath)).",
            valueName: "path"),
        completion: .file())
    var socket: String?

    @Flag(
        help: """
            Print the result as one line of JSON, as the daemon sent it where it did; an error as {"error":...}, too.
            """)
    var json = false

    var path: String { socket ?? Self.defaultPath }

    static var defaultPath: String { Console.environment(Product.socketVariable) ?? Product.socketPath }

    /// Moves these options behind the command where they stand before it, as people write them for other programs.
    static func behindCommand(_ arguments: [String], of command: any ParsableCommand.Type) -> [String] {
        var rest = arguments[...]
        var options: [String] = []
        while let word = rest.first, word == "--json" || word.hasPrefix("--socket=") || word == "--socket" {
            let count = word == "--socket" ? 2 : 1
            options += rest.prefix(count)
            rest = rest.dropFirst(count)
        }
        var words: [String] = []
        var command: (any ParsableCommand.Type)? = command
        while let word = rest.first, !word.hasPrefix("-"),
            let known = command?.configuration.subcommands, !known.isEmpty
        {
            words.append(word)
            rest = rest.dropFirst()
            command = known.first { $0._commandName == word }
        }
        return words + options + rest
    }
}

/// The argument that names a namespace. It is passed on unchanged, but for a pod's name: the daemon knows which names there
/// are.
protocol NamespaceOperand: ParsableArguments {
    var netns: String { get set }
}

extension NamespaceOperand {
    /// Replaces the name of a pod, which only the cluster knows, by its UID.
    mutating func resolve() async throws { netns = try await PodName.resolving(netns) }
}

/// Any namespace.
struct NamespaceArgument: NamespaceOperand {
    @Argument(
        help: .init(
            "The network namespace: web, /run/netns/web, pid:4711, pod:UID, container:ID, NAMESPACE/POD or host.",
            valueName: "netns"),
        completion: .namespaces)
    var netns: String
}

/// A namespace with a bypass.
struct BypassedNamespaceArgument: NamespaceOperand {
    @Argument(
        help: .init("The network namespace, as list shows it, or by another of its names.", valueName: "netns"),
        completion: .bypassedNamespaces)
    var netns: String
}

/// The condition for the call to have an effect.
struct Precondition: ParsableArguments {
    @Option(help: "Fail unless the namespace is at this generation, which status --json shows.")
    var ifGeneration: Int?
}

/// The owner and the reason of a change.
struct Attribution: ParsableArguments {
    @Option(help: "The owner, such as kubernetes:default/web-0 (default: at a terminal, your login).")
    var owner: String?

    @Option(help: "The reason, for the audit log.")
    var reason: String?

    /// The daemon's limit for an owner, and for a reason.
    static let maxBytes = 256

    /// At a terminal there is a person: readers of the list see who turned it on.
    mutating func setDefaultOwner() {
        if owner == nil && Console.isInputTerminal { owner = Accounts.login }
    }
}

extension CompletionKind {
    static let namespaces = CompletionKind.shellCommand("kmesh-bypassctl namespaces --names 2>/dev/null")
    static let bypassedNamespaces = CompletionKind.shellCommand("kmesh-bypassctl list --names 2>/dev/null")
}

/// Names of namespaces as the completion scripts read them, a line each.
///
/// - Parameter shell: whose script it is. What follows a colon, zsh would take for a description. bash expands what it is
///   offered, commands too, and puts it unquoted on the line: it gets what means itself.
func completions(_ names: [String], for shell: String? = Console.environment("SAP_SHELL")) -> String {
    names.map(\.namespaceArgument).compactMap { name in
        switch shell {
        case "zsh": name.printable.replacing(":", with: #"\:"#) + "\n"
        case "bash": name == name.shellWord ? name + "\n" : nil
        default: name.printable + "\n"
        }
    }.joined()
}
