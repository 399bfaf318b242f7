/// The fault in the arguments, for people.
struct UsageError: Error {
    var message: String
    /// The option that it is about.
    var option: String?
    var help: String?
}

/// One option of a command: how it is written, what it is for, and what it sets.
struct CommandOption<Settings> {
    /// With its dashes.
    let name: String
    /// The name of its value; nil for a flag.
    let value: String?
    let help: String
    let group: String
    /// Takes the value; nil if it is not one.
    let set: (inout Settings, String) -> Void?

    /// As usage and help show it.
    var signature: String { value.map { "\(name) <\($0)>" } ?? name }

    static func flag(_ name: String, _ path: WritableKeyPath<Settings, Bool>, _ help: String) -> Self {
        Self(name: name, value: nil, help: help, group: "OPTIONS") { settings, _ in settings[keyPath: path] = true }
    }

    static func text(
        _ name: String, _ path: WritableKeyPath<Settings, String>, of settings: Settings, value: String, _ help: String
    ) -> Self {
        let help = "\(help) (default: \(settings[keyPath: path]))"
        return Self(name: name, value: value, help: help, group: "OPTIONS") { $0[keyPath: path] = $1 }
    }

    static func text(
        _ name: String, _ path: WritableKeyPath<Settings, String?>, value: String, _ help: String
    ) -> Self {
        Self(name: name, value: value, help: help, group: "OPTIONS") { $0[keyPath: path] = $1 }
    }

    static func number(
        _ name: String, _ path: WritableKeyPath<Settings, Int>, of settings: Settings, value: String,
        group: String = "OPTIONS", _ help: String
    ) -> Self {
        let help = "\(help) (default: \(settings[keyPath: path]))"
        return Self(name: name, value: value, help: help, group: group) { settings, text in
            Int(text).map { settings[keyPath: path] = $0 }
        }
    }

    static func choice<Choice: RawRepresentable<String> & CaseIterable>(
        _ name: String, _ path: WritableKeyPath<Settings, Choice>, of settings: Settings, value: String, _ help: String
    ) -> Self {
        let all = Choice.allCases.map(\.rawValue).joined(separator: ", ")
        let help = "\(help) (values: \(all); default: \(settings[keyPath: path].rawValue))"
        return Self(name: name, value: value, help: help, group: "OPTIONS") { settings, text in
            Choice(rawValue: text).map { settings[keyPath: path] = $0 }
        }
    }
}

/// Reads the arguments of the daemon's commands.
///
/// The daemon is root, and swift-argument-parser brings a third of its size with it (FoundationEssentials), for options that
/// all have one form: `--name value` or `--name=value`. The tools for people use the library.
struct OptionParser<Settings> {
    /// As it is written, such as `kmesh-bypassd repair`.
    let command: String
    let overview: String
    let options: [CommandOption<Settings>]
    /// Lines at the end of the help.
    var footer: [String] = []

    enum Outcome {
        case settings(Settings)
        case help
        case version
    }

    func parse(_ arguments: ArraySlice<String>, into defaults: Settings) throws(UsageError) -> Outcome {
        var settings = defaults
        var rest = arguments
        while let argument = rest.popFirst() {
            switch argument {
            case "-h", "--help": return .help
            case "--version": return .version
            case _ where !argument.hasPrefix("-"): throw UsageError(message: "Unexpected argument '\(argument)'")
            default: break
            }
            let parts = argument.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
            guard let option = options.first(where: { $0.name == parts[0] }) else {
                throw UsageError(message: "Unknown option '\(parts[0])'")
            }
            var text = parts.count > 1 ? parts[1] : nil
            if option.value == nil {
                if text != nil { throw UsageError(message: "'\(option.name)' takes no value") }
                text = ""
            }
            guard let value = text ?? rest.popFirst() else {
                throw UsageError(
                    message: "Missing value for '\(option.signature)'", option: option.signature, help: option.help)
            }
            guard option.set(&settings, value) != nil else {
                throw UsageError(
                    message: "The value '\(value)' is invalid for '\(option.signature)'", option: option.signature,
                    help: option.help)
            }
        }
        return .settings(settings)
    }

    // MARK: text

    var usage: String {
        let shown = options.count > 4 ? "[<options>]" : options.map { "[\($0.signature)]" }.joined(separator: " ")
        return "\(command) \(shown)"
    }

    /// The fault, and where to read more.
    func text(of error: UsageError) -> String {
        var lines = ["Error: \(error.message)"]
        if let option = error.option, let help = error.help { lines.append("Help:  \(option)  \(help)") }
        return (lines + ["Usage: \(usage)", "  See '\(command) --help' for more information."]).joined(separator: "\n")
    }

    var help: String {
        var text = "OVERVIEW: \(overview)\n\nUSAGE: \(usage)\n"
        var groups: [String] = []
        for option in options where !groups.contains(option.group) { groups.append(option.group) }
        for group in groups {
            text += "\n\(group):\n"
            for option in options where option.group == group { text += Self.row(option.signature, option.help) }
            if group == "OPTIONS" {
                text += Self.row("--version", "Show the version.") + Self.row("-h, --help", "Show help information.")
            }
        }
        return text + footer.map { "\n\($0)" }.joined() + (footer.isEmpty ? "" : "\n")
    }

    private static var indent: Int { 26 }
    private static var width: Int { 80 }

    /// An option and what it is for, in two columns.
    private static func row(_ signature: String, _ help: String) -> String {
        var lines: [String] = []
        var line = "  " + signature
        if line.count >= indent - 1 {
            lines.append(line)
            line = ""
        }
        line += String(repeating: " ", count: indent - line.count)
        var isEmpty = true
        for word in help.split(separator: " ") {
            if !isEmpty && line.count + 1 + word.count > width {
                lines.append(line)
                (line, isEmpty) = (String(repeating: " ", count: indent), true)
            }
            line += (isEmpty ? "" : " ") + word
            isEmpty = false
        }
        return (lines + [line]).map { $0 + "\n" }.joined()
    }
}
