import ControllerTestSupport
import Linux
import MeshSandbox
import StrictJSON
import Testing

/// The built program with a kubeconfig, and the API server that it is for.
struct Plugin: Sendable {
    let server: APIServer
    let folder: String
    let program: String

    struct Result: Sendable {
        var code: Int32
        var output: String
        var errors: String

        /// The pods of `-o json`.
        var pods: [JSONValue] { get throws { try JSONReader.read(output)["pods"]?.array ?? [] } }
    }

    static func with(_ body: (Plugin) async throws -> Void) async throws {
        let program = try #require(DaemonProcess.builtExecutable("kubectl-bypass"), "it is not built")
        try await APIServer.with { server in
            server.allow(["alice"])
            try await TemporaryFolder.with("kubectl-bypass") { folder in
                let config = """
                    current-context: here
                    contexts: [{name: here, context: {cluster: here, user: me, namespace: default}}]
                    clusters: [{name: here, cluster: {server: "\(server.url)"}}]
                    users: [{name: me, user: {token: alice}}]
                    """
                try Files.write(Array(config.utf8), to: folder.path + "/config")
                try await body(Plugin(server: server, folder: folder.path, program: program))
            }
        }
    }

    func callAsFunction(_ words: String..., kubeconfig: Bool = true) async throws -> Result {
        try await run(words, kubeconfig: kubeconfig)
    }

    func run(_ words: [String], kubeconfig: Bool = true) async throws -> Result {
        // The shell keeps code, output and errors apart.
        let script = #"out=$1; shift; "$@" >"$out/stdout" 2>"$out/stderr"; echo $?"#
        let options = kubeconfig ? ["--kubeconfig", folder + "/config"] : []
        let own = try TemporaryFolder("kubectl-bypass-out")
        let code = try await Command.run(["sh", "-c", script, "sh", own.path, program] + words + options)
        let result = Result(
            code: Int32(code.filter { !$0.isNewline }) ?? -1, output: try Files.text(own.path + "/stdout"),
            errors: try Files.text(own.path + "/stderr"))
        try await own.remove()
        return result
    }

    /// At a terminal of its own, where output and errors are one.
    func atTerminal(_ words: String..., input: String? = nil) async throws -> String {
        let command = ([program] + words + ["--kubeconfig", folder + "/config"]).joined(separator: " ")
        return try await Command.run(
            ["script", "--quiet", "--return", "--command", command, "/dev/null"], input: input)
    }

    /// What kubectl gets for a command line whose last word is to be completed.
    func completing(_ words: [String]) async throws -> String {
        let link = folder + "/kubectl_complete-bypass"
        _ = try await Command.run(["ln", "--symbolic", program, link])
        return try await Command.run(["env", "KUBECONFIG=\(folder)/config", link] + words)
    }

    /// Plays the controller: as soon as a pod is labelled, or no longer, it says this.
    func answering(
        _ status: JSONValue, whileLabelled isLabelled: Bool = true, of name: String = "web-0",
        _ body: () async throws -> Result
    ) async throws -> Result {
        let controller = Task {
            while server.hasLabel(name) != isLabelled || server.annotation(Self.status, of: name) == status.string {
                try await Task.sleep(for: .milliseconds(5))
            }
            server.annotate(name, [Self.status: status])
        }
        defer { controller.cancel() }
        return try await body()
    }

    static let status = "kmesh.net/bypass-status"
}

extension JSONValue {
    /// Of an object.
    func text(_ name: String) -> String? { self[name]?.string }
}
