import ControllerTestSupport
import Kubernetes
import PodBypass
import StrictJSON
import Testing

@testable import BypassController

/// Texts of users, whose characters have no limit in bytes.
@Suite(.timeLimit(.minutes(1))) struct LongTextTests {
    /// One character of 120,001 bytes.
    private static let character = "a" + String(repeating: "\u{301}", count: 60_000)

    @Test(
        "The status quotes at most 64 bytes of a wrong annotation",
        arguments: [Annotations.direction, Annotations.ttl, Annotations.ports, Annotations.connections])
    func annotation(_ name: String) throws {
        let error = #expect(throws: BypassSpec.Malformed.self) {
            _ = try BypassSpec(annotations: [name: Self.character])
        }
        let message = try #require(error?.message)
        let quoted = "\"a" + String(repeating: "\u{301}", count: 31) + "\""
        #expect(message.utf8.count < 256 && message.contains(quoted))
    }

    @Test("The message of an Event has at most 1024 bytes")
    func event() async throws {
        #expect(Self.character.count == 1)
        try await APIServer.with { server in
            let client = try APIClient(ClusterAccess(server: server.url), userAgent: "test")
            let recorder = EventRecorder(client, node: "node-a")
            let event = BypassCondition.Event(reason: "BypassFailed", isWarning: true, message: Self.character)
            try await recorder.record(event, about: PodReference(pod()))
            let message = server.events(about: "web").first?["message"]?.string
            #expect(message == "a" + String(repeating: "\u{301}", count: 511))
            await client.shutdown()
        }
    }
}
