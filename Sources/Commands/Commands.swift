package import ArgumentParser
internal import Console

extension AsyncParsableCommand {
    /// Executes what the command line names, and ends the process. Output that cannot be written is a failure, which is reported
    /// here; so is the help, where ArgumentParser's own `main` ends with 0.
    ///
    /// - Parameters:
    ///   - arguments: nil for those of the process.
    ///   - misused: how to exit because of a wrong command line, if the parser is not to report it.
    ///   - failed: how to exit because of a command's own error, which it reports.
    package static func execute(
        _ arguments: [String]? = nil, misused: (any Error) -> ExitCode? = { _ in nil },
        failed: (any Error) -> ExitCode? = { _ in nil }
    ) async -> Never {
        do {
            var command: any ParsableCommand
            do {
                command = try await asyncParseAsRoot(arguments)
            } catch {
                throw misused(error) ?? error
            }
            do {
                if var command = command as? any AsyncParsableCommand {
                    try await command.run()
                } else {
                    try command.run()
                }
            } catch {
                throw failed(error) ?? error
            }
            exit()
        } catch let error as OutputError {
            exit(withError: unwritten(error))
        } catch let text where exitCode(for: text) == .success {
            exit(withError: printed(fullMessage(for: text)))
        } catch {
            exit(withError: error)
        }
    }

    /// Prints what is not an error but a text that was asked for.
    private static func printed(_ text: String) -> ExitCode {
        do throws(OutputError) {
            try Console.print(text.isEmpty || text.hasSuffix("\n") ? text : text + "\n")
            return .success
        } catch {
            return unwritten(error)
        }
    }

    private static func unwritten(_ error: OutputError) -> ExitCode {
        error.report()
        return .failure
    }
}
