package import MeshSandbox

/// How a command ended.
package struct CommandResult: Hashable, Sendable {
    package let code: Int
    package let output: String
    /// The lines on standard error.
    package let errors: [String]

    package init(code: Int, output: String = "", errors: [String] = []) {
        self.code = code
        self.output = output
        self.errors = errors
    }
}

extension MeshSandbox {
    /// Runs a command on the host to its end, whatever that is, within 20 seconds.
    package func result(of command: [String], input: String? = nil) async throws -> CommandResult {
        do {
            return CommandResult(code: 0, output: try await run(["timeout", "20"] + command, in: .host, input: input))
        } catch let failure as CommandFailure {
            // "exited(5)", "signaled(9)"
            guard failure.status.hasPrefix("exited"), let code = Int(failure.status.filter(\.isNumber)) else {
                throw failure
            }
            return CommandResult(
                code: code, errors: failure.standardError.split(separator: "\n").map(String.init))
        }
    }
}

extension Rig {
    /// The daemon's command line, with some of the rig's own settings replaced.
    package func command(
        socket: String? = nil, bpffs: String? = nil, stateDirectory: String? = nil, _ more: [String] = []
    ) -> [String] {
        [
            executable, "--socket", socket ?? options.socket, "--bpffs", bpffs ?? options.bpffs, "--state-dir",
            stateDirectory ?? options.stateDirectory,
        ] + options.arguments + more
    }
}
