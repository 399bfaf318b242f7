internal import BypassAPI
internal import BypassClient
internal import Testbed

/// What the demo shows, act by act.
struct DemoScript: Sendable {
    let mesh: Testbed.Mesh
    let daemon: DemoDaemon

    /// A way was taken that should not have been.
    struct Unexpected: Error, CustomStringConvertible {
        var act: String
        var expected: Testbed.Answer

        var description: String { "after '\(act)' the \(expected) should have answered everywhere" }
    }

    private static let prefix = "bypass-demo"
    private static let width = 16

    func play() async throws {
        try await Testbed.with(prefix: Self.prefix) { testbed in
            let client = try await BypassClient.connect(to: daemon.socket)
            do {
                try await play(testbed, client)
            } catch {
                // Also a bypass of the running daemon's must not be left behind.
                _ = try? await Task { try await client.bypass(netns: testbed.pod, state: .off) }.value
                await client.close()
                throw error
            }
            await client.close()
        }
        try say("\nEverything that the demo made is gone again.")
    }

    private func play(_ testbed: Testbed, _ client: BypassClient) async throws {
        try say("Namespace \(testbed.pod) is a pod: an app on port 8080, a sidecar on 15001 and 15006.")
        try say("Namespace \(testbed.peer) is somebody to talk to, with an app on port 8080.")
        try say("Redirect rules: \(mesh.rawValue), as a mesh's init container sets them.")
        try say("Daemon: \(daemon.origin).\n")
        try say("Who answers a new connection:\n")
        try say(row("", Testbed.Direction.allCases.flatMap { way in Testbed.Family.allCases.map { "\(way) \($0)" } }))

        try await show("no mesh", .app, testbed)
        try await testbed.install(mesh)
        try await show("mesh", .sidecar, testbed)
        // A time limit, should the demo be killed with a daemon that is not its own.
        _ = try await client.bypass(netns: testbed.pod, state: .on, ttl: 600, reason: "demo")
        try await show("bypass on", .app, testbed)
        let listed = try await testbed.run(["iptables", "-t", "nat", "-S"], in: .pod)
        _ = try await client.bypass(netns: testbed.pod, state: .off)
        try await show("bypass off", .sidecar, testbed)

        try say("\nThe calls, as kmesh-bypassctl makes them, and as socat does:\n")
        try say("    kmesh-bypassctl on \(testbed.pod)")
        try say(
            "    echo '{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"bypass\",\"params\":[\"\(testbed.pod)\",\"on\"]}' "
                + "| socat - UNIX-CONNECT:\(Product.socketPath)")
        try say("\nThe bypass as 'iptables -t nat -S' listed it while it was on:\n")
        for rule in listed.split(separator: "\n") where rule.contains("-m bpf") { try say("    \(rule)") }
    }

    /// Asks in every direction and family, and shows who answered.
    private func show(_ act: String, _ expected: Testbed.Answer, _ testbed: Testbed) async throws {
        var answers: [Testbed.Answer] = []
        for direction in Testbed.Direction.allCases {
            for family in Testbed.Family.allCases {
                answers.append(try await testbed.whoAnswers(direction, family))
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
        try Process.print(line + "\n")
    }
}
