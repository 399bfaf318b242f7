internal import MeshSandbox

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
