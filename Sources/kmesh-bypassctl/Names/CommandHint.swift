internal import ArgumentParser
internal import Console

/// What may have been meant by a subcommand that there is not.
struct CommandHint {
    /// nil if all subcommands are known, or nothing suggests itself.
    let text: String?

    init(_ command: any ParsableCommand.Type, _ arguments: [String]) {
        text = Self.text(command, arguments[...])
    }

    private static func text(_ command: any ParsableCommand.Type, _ arguments: ArraySlice<String>) -> String? {
        let known = command.configuration.subcommands
        guard !known.isEmpty, let word = arguments.first, !word.hasPrefix("-") else { return nil }
        if let next = known.first(where: { $0._commandName == word }) { return text(next, arguments.dropFirst()) }
        guard let nearest = word.nearest(of: known.map { $0._commandName }) else { return nil }
        return "there is no command '\(word)': did you mean '\(nearest)'?"
    }
}
