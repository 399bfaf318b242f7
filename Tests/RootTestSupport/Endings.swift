public import Testbed

/// How a command ended.
public struct Ending: Hashable, Sendable {
    public let code: Int
    public let output: String
    /// The lines on standard error.
    public let errors: [String]

    public init(code: Int, output: String = "", errors: [String] = []) {
        self.code = code
        self.output = output
        self.errors = errors
    }
}

extension Testbed {
    /// Runs a command on the host to its end, whatever that is, within 20 seconds.
    public func ending(of command: [String], input: String? = nil) async throws -> Ending {
        do {
            return Ending(code: 0, output: try await run(["timeout", "20"] + command, in: .host, input: input))
        } catch let failure as CommandFailure {
            // "exited(5)", "signaled(9)"
            guard failure.status.hasPrefix("exited"), let code = Int(failure.status.filter(\.isNumber)) else {
                throw failure
            }
            return Ending(
                code: code, errors: failure.standardError.split(separator: "\n").map(String.init))
        }
    }
}

extension Rig {
    /// The daemon's command line, with some of the rig's own settings replaced.
    public func command(
        socket: String? = nil, bpffs: String? = nil, stateDirectory: String? = nil, _ more: [String] = []
    ) -> [String] {
        [
            executable, "--socket", socket ?? options.socket, "--bpffs", bpffs ?? options.bpffs, "--state-dir",
            stateDirectory ?? options.stateDirectory,
        ] + options.arguments + more
    }
}
