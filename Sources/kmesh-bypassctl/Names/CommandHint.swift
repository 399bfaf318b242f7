internal import ArgumentParser
internal import Console

/// A suggestion for a command line that the parser refuses.
struct CommandHint {
    /// nil if the parser says enough.
    let text: String?

    init(_ command: any ParsableCommand.Type, _ arguments: [String]) {
        text = Self.text(command, arguments[...])
    }

    private static func text(_ command: any ParsableCommand.Type, _ arguments: ArraySlice<String>) -> String? {
        let known = command.configuration.subcommands
        guard !known.isEmpty, let word = arguments.first, !word.hasPrefix("-") else { return nil }
        if let next = known.first(where: { $0._commandName == word }) {
            // The parser calls the command's words unexpected, one by one.
            if next is Exec.Type, arguments.count > 1, !arguments.contains("--") {
                return "'--' is missing before the command: kmesh-bypassctl exec NETNS -- COMMAND"
            }
            return text(next, arguments.dropFirst())
        }
        let names = known.filter { $0.configuration.shouldDisplay }.map { $0._commandName } + ["help"]
        guard let meant = word.meant(of: names) else { return nil }
        return "there is no command '\(word)': did you mean '\(meant)'?"
    }
}
