import ControllerTestSupport
import Kubernetes
import StrictJSON
import Testing

/// The API server of these tests is to be relied on.
@Suite(.timeLimit(.minutes(1))) struct APIServerTests {
    @Test("It is restarted under clients that keep connecting, and serves")
    func knocked() async throws {
        try await APIServer.with { server in
            server.put("a")
            try await knocking(on: server.port) {
                for _ in 0..<50 { try await server.restart() }
            }
            let client = try server.client()
            let pod = try await client.get("/api/v1/namespaces/default/pods/a")
            await client.shutdown()
            #expect(pod["metadata"]?["name"] == "a")
        }
    }
}
