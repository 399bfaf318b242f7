import ControllerTestSupport
import MeshSandbox
import TestSupport
import Testing

extension ControllerTests {
    /// Takes a minute and more: only with Tests/run.sh --walk.
    @Suite struct VanishedPacketsTests {
        @Test("A watch whose packets vanish, as behind a firewall that forgets it, is replaced")
        func watch() async throws {
            try await ControllerRig.with { it in
                try await it.start()
                it.server.label("web")
                try await it.becomes(.app)
                try await it.says("on")
                // Packets of connections that exist vanish in both directions; new connections work.
                let table = it.sandbox.peer + "-vanish"
                let ruleset = """
                    table inet \(table) {
                      set old { type inet_service; elements = { \(try await Self.ports(it)) } }
                      chain input {
                        type filter hook input priority 0;
                        ip daddr 127.0.0.1 tcp dport \(it.server.port) tcp sport @old drop
                        ip saddr 127.0.0.1 tcp sport \(it.server.port) tcp dport @old drop
                      }
                    }
                    """
                try await it.sandbox.run(["nft", "-f", "-"], in: .host, input: ruleset)
                try await scoped {
                    it.server.label("web", nil)
                    // Keepalive takes 30 s and three probes of 10 s.
                    try await it.becomes(.sidecar, within: .seconds(90))
                    try await it.says(nil, within: .seconds(60))
                } cleanUp: {
                    try await it.sandbox.run(["nft", "delete", "table", "inet", table], in: .host)
                }
            }
        }

        /// The local ports of the connections to the API server, with commas.
        private static func ports(_ it: ControllerRig) async throws -> String {
            let filter = "( dport = :\(it.server.port) )"
            let lines = try await it.sandbox.run(["ss", "-Htn", "state", "established", filter], in: .host)
            let ports = lines.split(separator: "\n").compactMap { line in
                line.split(separator: " ").dropFirst(2).first?.split(separator: ":").last
            }
            return ports.joined(separator: ", ")
        }
    }
}
