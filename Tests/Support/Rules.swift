package import MeshSandbox

/// Everything that is set in the pod, as the tools that people use print it, for comparing before and after.
package struct Rules: Hashable, Sendable, CustomStringConvertible {
    /// Lines by tool. Comments have the date in them, and counters the traffic.
    private let lines: [String: [String]]

    package init(of sandbox: MeshSandbox) async throws {
        let tools = ["iptables-save", "ip6tables-save", "iptables-legacy-save", "ip6tables-legacy-save"]
        var lines: [String: [String]] = [:]
        for command in tools.map({ [$0] }) + [["nft", "--stateless", "list", "ruleset"]] {
            let output = try await sandbox.run(command, in: .pod)
            lines[command[0]] = output.split(separator: "\n").filter { !$0.hasPrefix("#") }.map(Self.withoutCounters)
        }
        self.lines = lines
    }

    /// `:OUTPUT ACCEPT [12:720]` to `:OUTPUT ACCEPT`.
    private static func withoutCounters(_ line: Substring) -> String {
        guard line.hasPrefix(":"), let bracket = line.lastIndex(of: "[") else { return String(line) }
        return String(line[..<bracket])
    }

    package var isEmpty: Bool { lines.values.allSatisfy(\.isEmpty) }

    package var description: String {
        lines.sorted { $0.key < $1.key }.map { "\($0.key):\n" + $0.value.joined(separator: "\n") }
            .joined(separator: "\n")
    }
}

extension MeshSandbox {
    package var rules: Rules { get async throws { try await Rules(of: self) } }

    /// The lines that `iptables -t nat -S CHAIN` prints in the pod.
    package func listing(_ chain: String, by tool: String = "iptables") async throws -> [String] {
        try await run([tool, "-t", "nat", "-S", chain], in: .pod).split(separator: "\n").map(String.init)
    }

    /// The numbers of conntrack's entries in the pod that these words select: another entry never has the same.
    package func conntrack(_ words: String) async throws -> Set<Substring> {
        let command = ["conntrack", "-L", "-o", "id"] + words.split(separator: " ").map(String.init)
        let lines = try await run(command, in: .pod).split(separator: "\n")
        return Set(lines.compactMap { $0.split(separator: " ").last { $0.hasPrefix("id=") } })
    }

    /// Changes iptables' nat table in the pod.
    package func iptables(_ words: String, tool: String = "iptables") async throws {
        try await run([tool, "-t", "nat"] + words.split(separator: " ").map(String.init), in: .pod)
    }
}

/// What the daemon could leave behind in a namespace.
package enum Leftovers {
    /// Everything in the namespace that only the daemon puts there: lines of the guard's table, and rules with a BPF match.
    ///
    /// It does not find empty chains that the daemon made in tables of others: compare `MeshSandbox.ruleset` for those.
    ///
    /// - Parameter namespace: a name under /run/netns.
    /// - Returns: empty if the namespace is clean.
    package static func scan(_ namespace: String) async throws -> [String] {
        let ruleset = try await Command.run(["nft", "list", "ruleset"], namespace: namespace)
        // nft prints an xt match with quotation marks or without, by its version.
        let signs = ["kmesh_bypass", "match bpf", "match \"bpf\""]
        return lines(of: ruleset) { line in signs.contains { line.contains($0) } }
    }

    private static func lines(of text: String, where condition: (Substring) -> Bool) -> [String] {
        text.split(separator: "\n").filter(condition).map { String($0.drop { $0 == "\t" || $0 == " " }) }
    }
}
