internal import ArgumentParser
internal import BypassAPI
internal import BypassClient
internal import Console

/// A subcommand that makes one call and prints the result.
protocol DaemonCommand: AsyncParsableCommand {
    associatedtype Method: RPCMethod

    var common: CommonOptions { get }
    var parameters: Method.Parameters { get throws }
    /// The result for people, with a line feed at its end.
    func text(of result: Method.Result, _ style: Style) -> String
    /// How to exit although the daemon has answered with a result, if not with 0.
    func failure(in result: Method.Result) -> ExitStatus?
}

extension DaemonCommand {
    func failure(in result: Method.Result) -> ExitStatus? { nil }

    func run() async throws {
        do {
            let client = try await BypassClient.connect(to: common.path)
            let answer = try await client.answer(Method.self, with: try parameters)
            try Console.print(common.json ? answer.json + "\n" : text(of: answer.result, .ofStandardOutput))
            if let failure = failure(in: answer.result) { throw ExitCode(failure.rawValue) }
        } catch let error as BypassClientError {
            Console.printError(advice(on: error))
            throw ExitCode(ExitStatus(error).rawValue)
        } catch let error as OutputError {
            if !error.isReaderGone { Console.printError("cannot write the output: \(error)") }
            throw ExitCode(ExitStatus.failed.rawValue)
        }
    }
}

/// Options that every subcommand has.
struct CommonOptions: ParsableArguments {
    @Option(
        help: .init(
            "Where the daemon listens (default: $\(Product.socketVariable), else \(Product.socketPath)).",
            valueName: "path"),
        completion: .file())
    var socket: String?

    @Flag(help: "Print the result as the line of JSON that the daemon sent.")
    var json = false

    var path: String { socket ?? Self.defaultPath }

    static var defaultPath: String { Console.environment(Product.socketVariable) ?? Product.socketPath }
}

/// The argument that names a namespace. It is passed on unchanged: the daemon knows which names there are.
struct NamespaceArgument: ParsableArguments {
    @Argument(
        help: "The network namespace: web, /run/netns/web, /proc/4711/ns/net, pid:4711, pod:UID, container:ID or host.",
        completion: .shellCommand("ls /run/netns 2>/dev/null"))
    var netns: String
}

/// What must still hold for the call to have an effect.
struct Precondition: ParsableArguments {
    @Option(help: "Fail unless the namespace is at this generation, which status --json shows.")
    var ifGeneration: Int?
}

/// Who asks for a change, and why.
struct Attribution: ParsableArguments {
    @Option(help: "Who wants it, such as kubernetes:default/web-0.")
    var owner: String?

    @Option(help: "Why, for the audit log.")
    var reason: String?
}
