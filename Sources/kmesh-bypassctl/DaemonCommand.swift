internal import ArgumentParser
internal import BypassAPI
internal import BypassClient

/// A subcommand that makes one call and prints the result.
protocol DaemonCommand: AsyncParsableCommand {
    associatedtype Method: RPCMethod

    var common: CommonOptions { get }
    var parameters: Method.Parameters { get }
    /// The result for people, with the line feed at its end.
    func text(of result: Method.Result, _ style: Style) -> String
}

extension DaemonCommand {
    func run() async throws {
        do {
            try Process.print(try await output())
        } catch let error as BypassClientError {
            Process.complain(advice(on: error))
            throw ExitCode(ExitStatus(error).rawValue)
        } catch let error as OutputError {
            if !error.isReaderGone { Process.complain("cannot write the output: \(error)") }
            throw ExitCode(ExitStatus.failed.rawValue)
        }
    }

    private func output() async throws(BypassClientError) -> String {
        let client = try await BypassClient.connect(to: common.path)
        if common.json { return try await client.json(Method.self, with: parameters) + "\n" }
        return text(of: try await client.call(Method.self, with: parameters), .ofStandardOutput)
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

    static var defaultPath: String { Process.environment(Product.socketVariable) ?? Product.socketPath }
}

/// The argument that names a namespace. The daemon knows what names there are; it is handed on as it is.
struct NamespaceArgument: ParsableArguments {
    @Argument(
        help: "The network namespace: web, /run/netns/web, /proc/4711/ns/net, pid:4711 or pod:UID.",
        completion: .shellCommand("ls /run/netns 2>/dev/null"))
    var netns: String
}

/// What a call that changes something tells the daemon about itself.
struct Attribution: ParsableArguments {
    @Option(help: "Who wants it, such as kubernetes:default/web-0.")
    var owner: String?

    @Option(help: "Why, for the audit log.")
    var reason: String?
}
