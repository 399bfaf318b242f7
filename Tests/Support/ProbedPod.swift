internal import Linux
package import MeshSandbox

/// A pod with a sidecar, its peer, and a virtual machine behind it, for probes of every kind.
package struct ProbedPod: Sendable {
    /// Its name under /run/netns.
    package var netns: String { prefix + "-pod" }
    /// What the names of its namespaces begin with.
    package let prefix: String
    private let sandbox: MeshSandbox
    private let rules: MeshRuleSet

    /// What the probes saw: who answered, and with which address of the client's, by the probe's name.
    package typealias Answers = [String: String]

    package static func with<Result>(
        _ rules: MeshRuleSet, _ sandbox: MeshSandbox, _ body: (ProbedPod) async throws -> Result
    ) async throws -> Result {
        let prefix = sandbox.pod + "-probed"
        let pod = ProbedPod(prefix: prefix, sandbox: sandbox, rules: rules)
        return try await scoped {
            try await sandbox.run(["python3", script, "setup", prefix], in: .host)
            return try await body(pod)
        } cleanUp: {
            for place in ["pod", "peer", "vm"] where Files.exists("/run/netns/\(prefix)-\(place)") {
                try await sandbox.run(["ip", "netns", "delete", "\(prefix)-\(place)"], in: .host)
            }
        }
    }

    private static let script = MeshRuleSet.folder + "probes.py"

    package func installRules() async throws {
        for (command, input) in rules.installation { try await sandbox.inside(netns, command, input: input) }
    }

    /// - Parameter asMesh: with the sidecar's connections that no namespace without the mesh's rules has.
    package func probe(asMesh: Bool = true) async throws -> Answers {
        let marks = [rules.mark, asMesh ? rules.clientMark : "0"]
        let command = ["python3", Self.script, "run", prefix, rules.sidecarUser] + marks
        var answers: Answers = [:]
        for line in try await sandbox.run(command, in: .host).split(separator: "\n") {
            let words = line.split(separator: " ", maxSplits: 1)
            answers[String(words[0])] = String(words[1])
        }
        return answers
    }
}
