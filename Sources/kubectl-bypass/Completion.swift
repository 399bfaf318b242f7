internal import ArgumentParser
internal import BypassAPI
internal import Console
internal import Kubernetes
internal import PodBypass
internal import StrictJSON

/// The completions that kubectl offers for a command line of this plugin. kubectl (1.26) runs `kubectl_complete-bypass`, a link to
/// this program, and reads what cobra's programs print: candidates, and a number that says what the shell does with them.
struct Completion {
    static let program = "kubectl_complete-bypass"

    /// Before the word that is to be completed.
    private let words: [String]
    private let current: String
    private let grammar: Grammar

    /// As in cobra.
    private enum Directive: String {
        case files = ":0"
        case error = ":1"
        case noFiles = ":4"
        /// The word goes on: no blank after it, and no files.
        case noSpace = ":6"
    }

    /// - Parameter arguments: the words of the command line; the last one, which may be empty, is to be completed.
    init(_ arguments: some BidirectionalCollection<String>) {
        words = Array(arguments.dropLast())
        current = arguments.last ?? ""
        grammar = Grammar(KubectlBypass.self)
    }

    func text() async -> String {
        let (candidates, directive) = await answer()
        return (candidates.filter { $0.hasPrefix(current) } + [directive.rawValue]).joined(separator: "\n") + "\n"
    }

    /// For the shells' own completion.
    fileprivate func candidates() async -> [String] { await answer().0 }

    private func answer() async -> ([String], Directive) {
        guard let command = words.first(where: { !$0.hasPrefix("-") }) else { return (grammar.commands, .noFiles) }
        if let option = words.last.flatMap({ grammar.optionWithValue($0, of: command) }) {
            switch option {
            case "namespace": return await names { cluster in try await cluster.names("/api/v1/namespaces") }
            case "kubeconfig": return ([], .files)
            case "direction": return (Direction.allCases.map(\.rawValue), .noFiles)
            case "output": return (ClusterOptions.Output.allCases.map(\.rawValue), .noFiles)
            default: return ([], .noFiles)
            }
        }
        if current.hasPrefix("-") { return (grammar.options(of: command), .noFiles) }
        guard grammar.takesTargets(command) else { return ([], .noFiles) }
        return await targets(isBypassed: command == "off")
    }

    /// - Parameter isBypassed: whether only pods with the label are offered.
    private func targets(isBypassed: Bool) async -> ([String], Directive) {
        guard let slash = current.firstIndex(of: "/") else {
            let (pods, directive) = await names { cluster in
                try await cluster.pods(isBypassed ? BypassLabel.selector : nil, in: cluster.namespace).map(
                    \.metadata.name)
            }
            let types = Target.Kind.allCases.map { ($0.shortNames.first ?? $0.rawValue) + "/" }.filter {
                $0.hasPrefix(current)
            }
            let isOnlyType = !types.isEmpty && !pods.contains { $0.hasPrefix(current) }
            return (pods + types, isOnlyType ? .noSpace : directive)
        }
        let type = String(current[...slash])
        switch try? Target(type + "x") {
        case .pod:
            return await names { cluster in
                try await cluster.pods(nil, in: cluster.namespace).map { type + $0.metadata.name }
            }
        case .workload(let kind, _):
            return await names { cluster in
                try await cluster.names(Cluster.path(kind, in: cluster.namespace)).map { type + $0 }
            }
        case nil: return ([], .noFiles)
        }
    }

    private func names(_ body: (Cluster) async throws -> [String]) async -> ([String], Directive) {
        var found: [String] = []
        do {
            // A shell waits for it.
            try await options().withCluster(timeout: .seconds(3), retrying: .byCaller) { found = try await body($0) }
        } catch {
            return ([], .error)
        }
        return (found, .noFiles)
    }

    /// The cluster, from the words before.
    private func options() async throws -> ClusterOptions {
        let names = ["-n", "--namespace", "--context", "--kubeconfig"]
        var chosen: [String] = []
        for (index, word) in words.enumerated() {
            if names.contains(word), index + 1 < words.count {
                chosen += [word, words[index + 1]]
            } else if names.contains(where: { word.hasPrefix($0 + "=") }) {
                chosen.append(word)
            }
        }
        return try await Line.asyncParse(chosen).cluster
    }

    /// The parser takes options with completion only as those of such a command.
    private struct Line: AsyncParsableCommand {
        @OptionGroup var cluster: ClusterOptions
    }
}

extension CompletionKind {
    /// What the cluster has, by the words before.
    static var names: CompletionKind {
        .custom { (words, index, prefix) async in
            await Completion(words.prefix(index).dropFirst() + [prefix]).candidates()
        }
    }
}

/// The commands and their options, as the parser describes them.
private struct Grammar {
    private struct Dump: Decodable {
        var command: Command
    }

    private struct Command: Decodable {
        var commandName: String
        var subcommands: [Command]?
        var arguments: [Argument]?
    }

    private struct Argument: Decodable {
        /// `positional`, `option` or `flag`.
        var kind: String
        var names: [Name]?
    }

    private struct Name: Decodable {
        /// `long` or `short`.
        var kind: String
        var name: String

        var spelling: String { (kind == "short" ? "-" : "--") + name }
    }

    private let root: Command?

    init(_ command: any ParsableCommand.Type) {
        let dump = try? JSONReader.read(command._dumpHelp())
        root = try? dump.map { try JSONDecoding.decode(Dump.self, from: $0, unknownMembers: .ignore).command }
    }

    var commands: [String] { (root?.subcommands ?? []).map(\.commandName) }

    private func arguments(of command: String) -> [Argument] {
        root?.subcommands?.first { $0.commandName == command }?.arguments ?? []
    }

    func options(of command: String) -> [String] {
        arguments(of: command).flatMap { $0.names ?? [] }.filter { $0.kind == "long" }.map(\.spelling)
    }

    /// The long name of the option, if the next word is its value.
    func optionWithValue(_ word: String, of command: String) -> String? {
        arguments(of: command).first { argument in
            argument.kind == "option" && argument.names?.contains { $0.spelling == word } == true
        }?.names?.first { $0.kind == "long" }?.name
    }

    func takesTargets(_ command: String) -> Bool { arguments(of: command).contains { $0.kind == "positional" } }
}
