import BypassAPI
import ControllerTestSupport
import Kubernetes
import Logging
import StrictJSON
import Synchronization
import Testing

@testable import BypassController

/// What people read on a pod, against an API server.
@Suite(.timeLimit(.minutes(1))) struct TellingTests {
    private func telling(
        _ errors: Errors = Errors(), _ body: (Teller, APIServer) async throws -> Void
    ) async throws {
        try await APIServer.with { server in
            let client = try APIClient(ClusterAccess(server: server.url), agent: "test", timeout: .seconds(5)) {
                if $1 == "error" { errors.add() }
            }
            let teller = Teller(client, node: "node-a", logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
            server.put("web", uid: "u-1")
            try await body(teller, server)
            await teller.stop()
            await client.shutdown()
        }
    }

    /// How often the API server could not be reached.
    private final class Errors: Sendable {
        private let found = Mutex(0)
        var count: Int { found.withLock(\.self) }
        func add() { found.withLock { $0 += 1 } }
    }

    private static let name = PodName(namespace: "default", name: "web", uid: "u-1")

    private func until(_ what: String, _ isTrue: () -> Bool) async throws {
        for _ in 0..<2000 where !isTrue() { try await Task.sleep(for: .milliseconds(5)) }
        #expect(isTrue(), "\(what)")
    }

    @Test("An annotation and an Event; the same again is counted up, and not said twice")
    func events() async throws {
        try await telling { teller, server in
            for _ in 0..<3 {
                await teller.tell(.init(pod: Self.name, state: .failed("x")), unless: nil)
                try await until("failed") { server.annotation("kmesh.net/bypass-status", of: "web") == "failed: x" }
                await teller.tell(.init(pod: Self.name, state: .on(until: nil)), unless: nil)
                try await until("on") { server.annotation("kmesh.net/bypass-status", of: "web") == "on" }
            }
            try await until("counted") {
                server.events(about: "web").map { $0["count"] } == [3, 3]
            }
            let event = try #require(server.events(about: "web").first)
            #expect(event["type"]?.string == "Warning" && event["reason"]?.string == "BypassFailed")
            #expect(event["involvedObject"]?["uid"]?.string == "u-1")
            #expect(event["source"]?["host"]?.string == "node-a")
            _ = server.takeRequests()
            await teller.tell(.init(pod: Self.name, state: .on(until: nil)), unless: "on")
            await teller.tell(.init(pod: Self.name, state: .on(until: nil)), unless: nil)
            await teller.tell(.init(pod: Self.name, state: .off(wasOn: true)), unless: nil)
            try await until("disabled") { server.reasons(about: "web").contains("BypassDisabled") }
            #expect(server.annotation("kmesh.net/bypass-status", of: "web") == nil)
            #expect(server.requests.map(\.verb) == ["PATCH", "POST"])
        }
    }

    @Test("A bypass that has ended takes its label along, and nothing else")
    func expiry() async throws {
        try await telling { teller, server in
            server.patch("web", ["metadata": ["labels": ["app": "web", "kmesh.net/bypass": "enabled"]]])
            await teller.tell(.init(pod: Self.name, state: .expired(at(60))), unless: "on until 1970-01-01T00:01:00Z")
            try await until("expired") { server.reasons(about: "web") == ["BypassExpired"] }
            // Without its label the pod is no longer seen: what it says is left to be read.
            await teller.tell(.init(pod: Self.name, state: .off(wasOn: false)), unless: nil)
            await teller.stop()
            let metadata = server.pod("web")?["metadata"]
            #expect(metadata?["labels"] == ["app": "web"])
            #expect(metadata?["annotations"]?["kmesh.net/bypass-status"]?.string == "expired 1970-01-01T00:01:00Z")
        }
    }

    @Test("Another pod of the same name hears nothing of it")
    func successor() async throws {
        try await telling { teller, server in
            server.delete("web")
            await teller.tell(.init(pod: Self.name, state: .on(until: nil)), unless: nil)
            try await until("asked") { server.requests.contains { $0.verb == "PATCH" } }
            server.put("web", uid: "u-2")
            await teller.tell(.init(pod: Self.name, state: .failed("x")), unless: nil)
            try await until("asked again") { server.requests.count { $0.verb == "PATCH" } == 2 }
            await teller.stop()
            #expect(server.annotation("kmesh.net/bypass-status", of: "web") == nil)
            #expect(server.events(about: "web").isEmpty)
        }
    }

    @Test("A conflict passes: it is told again")
    func conflict() async throws {
        try await telling { teller, server in
            server.fail(.status(409, "Conflict", "the object has been modified"), times: 2) { $0.verb == "PATCH" }
            await teller.tell(.init(pod: Self.name, state: .on(until: nil)), unless: nil)
            try await until("told") { server.annotation("kmesh.net/bypass-status", of: "web") == "on" }
        }
    }

    @Test("What could not be told is told once the API server is back: the last news only")
    func outage() async throws {
        let errors = Errors()
        try await telling(errors) { teller, server in
            await server.stop()
            await teller.tell(.init(pod: Self.name, state: .failed("x")), unless: nil)
            await teller.tell(.init(pod: Self.name, state: .failed("y")), unless: nil)
            await teller.tell(.init(pod: Self.name, state: .on(until: nil)), unless: nil)
            try await until("nobody is there") { errors.count > 0 }
            try await server.start()
            try await until("told") { server.reasons(about: "web") == ["BypassEnabled"] }
            #expect(server.annotation("kmesh.net/bypass-status", of: "web") == "on")
        }
    }

    @Test("One pod cannot fill the cluster with Events")
    func flood() async throws {
        try await telling { teller, server in
            let client = try APIClient(ClusterAccess(server: server.url), agent: "test")
            let recorder = EventRecorder(client, node: "node-a")
            for number in 0..<40 {
                try await recorder.tell(
                    .init(reason: "BypassFailed", isWarning: true, message: "\(number)"), about: Self.name)
            }
            await client.shutdown()
            #expect(server.events(about: "web").count == 25)
        }
    }

    @Test("A strict rule of Istio's is told; without the rule's kind, or the permission, nothing is")
    func mutualTLS() async throws {
        try await telling { teller, server in
            let strange = pod(containers: ["app", "linkerd-proxy"])
            server.requireMutualTLS("STRICT", "mesh", in: "istio-system")
            await teller.tell(.init(pod: Self.name, state: .on(until: nil), object: strange), unless: nil)
            try await until("on") { server.reasons(about: "web") == ["BypassEnabled"] }
            await teller.tell(.init(pod: Self.name, state: .off(wasOn: true)), unless: nil)
            await teller.tell(.init(pod: Self.name, state: .on(until: nil), object: pod()), unless: "x")
            try await until("strict") { server.reasons(about: "web").contains("BypassStrictMTLS") }
            let event = server.events(about: "web").last
            #expect(event?["message"]?.string?.contains("istio-system/mesh") == true)
            #expect(event?["type"]?.string == "Warning")
        }
    }
}
