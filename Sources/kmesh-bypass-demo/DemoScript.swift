internal import BypassAPI
internal import BypassClient
internal import Console
internal import MeshSandbox

/// The demo, step by step.
struct DemoScript: Sendable {
    let mesh: MeshSandbox.Mesh
    let daemon: DemoDaemon

    /// A connection took a path that it should not have taken.
    struct Unexpected: Error, CustomStringConvertible {
        var act: String
        var expected: MeshSandbox.Answer

        var description: String { "after '\(act)' the \(expected) should have answered everywhere" }
    }

    /// Names of its own: what is called as an earlier demo's is not touched.
    private let prefix = "bypass-demo-" + String(UInt32.random(in: .min ... .max), radix: 36)
    private static let width = 16

    func play() async throws {
        try await MeshSandbox.with(prefix: prefix) { sandbox in
            let client = try await BypassClient.connect(to: daemon.socket)
            do {
                try await play(sandbox, client)
            } catch {
                // Also a bypass of the running daemon's must not be left behind.
                _ = try? await Task { try await client.bypass(netns: sandbox.pod, state: .off) }.value
                await client.close()
                throw error
            }
            await client.close()
        }
        try say("\nEverything that the demo made was removed.")
    }

    private func play(_ sandbox: MeshSandbox, _ client: BypassClient) async throws {
        try say("Namespace \(sandbox.pod) is a pod: an app on port 8080, a sidecar on 15001 and 15006.")
        try say("Namespace \(sandbox.peer) is its peer, with an app on port 8080.")
        try say("Redirect rules: \(mesh.rawValue), as a mesh's init container sets them.")
        try say("Daemon: \(daemon.origin).\n")
        try say("Who answers a new connection:\n")
        try say(
            row(
                "",
                MeshSandbox.Direction.allCases.flatMap { direction in
                    MeshSandbox.Family.allCases.map { "\(direction) \($0)" }
                }))

        try await show("no mesh", .app, sandbox)
        try await sandbox.install(mesh)
        try await show("mesh", .sidecar, sandbox)
        // A time limit, should the demo be killed with a daemon that is not its own.
        _ = try await client.bypass(netns: sandbox.pod, state: .on, ttl: 600, reason: "demo")
        try await show("bypass on", .app, sandbox)
        let listed = try await sandbox.run(["iptables", "-t", "nat", "-S"], in: .pod)
        _ = try await client.bypass(netns: sandbox.pod, state: .off)
        try await show("bypass off", .sidecar, sandbox)

        try say("\nThe calls, as kmesh-bypassctl makes them, and as socat does:\n")
        try say("    kmesh-bypassctl on \(sandbox.pod)")
        try say(
            "    echo '{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"bypass\",\"params\":[\"\(sandbox.pod)\",\"on\"]}' "
                + "| socat - UNIX-CONNECT:\(Product.socketPath)")
        try say("\nThe bypass as 'iptables -t nat -S' listed it while it was on:\n")
        for rule in listed.split(separator: "\n") where rule.contains("-m bpf") { try say("    \(rule)") }
    }

    /// Connects in every direction and family, and shows who answered.
    private func show(_ act: String, _ expected: MeshSandbox.Answer, _ sandbox: MeshSandbox) async throws {
        var answers: [MeshSandbox.Answer] = []
        for direction in MeshSandbox.Direction.allCases {
            for family in MeshSandbox.Family.allCases {
                answers.append(try await sandbox.whoAnswers(direction, family))
            }
        }
        try say(row(act, answers.map { "\($0)" }))
        guard answers.allSatisfy({ $0 == expected }) else { throw Unexpected(act: act, expected: expected) }
    }

    private func row(_ title: String, _ cells: [String]) -> String {
        let padded = ([title] + cells).map { $0 + String(repeating: " ", count: max(1, Self.width - $0.count)) }
        var line = "    " + padded.joined()
        while line.last == " " { line.removeLast() }
        return line
    }

    private func say(_ line: String) throws(OutputError) {
        try Console.print(line + "\n")
    }
}
