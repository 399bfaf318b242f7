internal import Subprocess
internal import SystemPackage

/// A command that ended otherwise than with status 0.
package struct CommandFailure: Error, Hashable, Sendable, CustomStringConvertible {
    package let command: [String]
    /// Its end, in words.
    package let status: String
    package let standardError: String

    package var description: String {
        "\(command.joined(separator: " ")): \(status)" + (standardError.isEmpty ? "" : ": \(standardError)")
    }
}

/// The one place where the sandbox executes programs: it does what a mesh and an administrator do, with their tools.
package enum Command {
    /// Runs a command to its end.
    ///
    /// - Parameters:
    ///   - command: the program, looked up in PATH, and its arguments; no shell sees them.
    ///   - namespace: a name under /run/netns. `nsenter` enters it, since `ip netns exec` would also mount a new /sys,
    ///     which hides what is pinned in /sys/fs/bpf.
    ///   - input: the command's standard input, empty if nil.
    /// - Returns: what it wrote to standard output.
    package static func run(_ command: [String], namespace: String? = nil, input: String? = nil) async throws -> String
    {
        let words = (namespace.map { ["nsenter", "--net=/run/netns/\($0)", "--"] } ?? []) + command
        // A group of its own: Ctrl-C at the terminal is for the demo, which cleans up by running more commands.
        var options = PlatformOptions()
        options.processGroupID = 0
        // A file and not a string: swift-subprocess 1.0 writes strings through a pipe, and traps if the command ends, or
        // the task is cancelled, before all of it is read.
        let file = try TemporaryFolder.unnamedFile(contents: input ?? "")
        defer { try? file.close() }
        let result = try await Subprocess.run(
            .name(words[0]), arguments: Arguments(Array(words.dropFirst())), platformOptions: options,
            input: .fileDescriptor(file, closeAfterSpawningProcess: false), output: .string(limit: outputLimit),
            error: .string(limit: outputLimit))
        guard result.terminationStatus.isSuccess else {
            throw CommandFailure(
                command: words, status: result.terminationStatus.description,
                standardError: result.standardError.trimmingLineEnds)
        }
        return result.standardOutput
    }

    /// Enough for the listing of some ten thousand rules.
    private static let outputLimit = 16 << 20
}

extension String {
    fileprivate var trimmingLineEnds: String {
        String(self[..<(lastIndex { !$0.isNewline }.map(index(after:)) ?? startIndex)])
    }
}
