import BypassAPI
import ControllerTestSupport
import Kubernetes
import PodBypass
import StrictJSON
import Synchronization
import Testing

@testable import BypassController

/// What is reported on a pod, against an API server.
@Suite(.timeLimit(.minutes(1))) struct StatusReporterTests {
    func reporting(
        _ errors: Errors = Errors(), _ body: (StatusReporter, APIServer) async throws -> Void
    ) async throws {
        try await APIServer.with { server in
            let client = try APIClient(ClusterAccess(server: server.url), userAgent: "test", timeout: .seconds(5)) {
                if $1 == "error" { errors.add() }
            }
            let reporter = StatusReporter(client, node: "node-a", logger: .silent)
            server.put("web", uid: "u-1")
            try await body(reporter, server)
            await reporter.stop()
            await client.shutdown()
        }
    }

    /// How often the API server could not be reached.
    final class Errors: Sendable {
        private let found = Mutex(0)
        var count: Int { found.withLock(\.self) }
        func add() { found.withLock { $0 += 1 } }
    }

    static let name = PodReference(namespace: "default", name: "web", uid: "u-1")

    @Test("An annotation and an Event; a repeated Event increments its count")
    func events() async throws {
        try await reporting { reporter, server in
            for _ in 0..<3 {
                await reporter.report(.init(pod: Self.name, condition: .failed("x")), replacing: nil)
                try await until("failed") { server.annotation("kmesh.net/bypass-status", of: "web") == "failed: x" }
                await reporter.report(.init(pod: Self.name, condition: .on(until: nil)), replacing: nil)
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
            await reporter.report(.init(pod: Self.name, condition: .on(until: nil)), replacing: "on")
            await reporter.report(.init(pod: Self.name, condition: .on(until: nil)), replacing: nil)
            await reporter.report(.init(pod: Self.name, condition: .off(wasOn: true)), replacing: nil)
            try await until("disabled") { server.reasons(about: "web").contains("BypassDisabled") }
            #expect(server.annotation("kmesh.net/bypass-status", of: "web") == nil)
            #expect(server.requests.map(\.verb) == ["PATCH", "POST"])
        }
    }

    @Test("The label of an expired bypass is removed, and nothing else")
    func expiry() async throws {
        try await reporting { reporter, server in
            server.patch("web", ["metadata": ["labels": ["app": "web", "kmesh.net/bypass": "enabled"]]])
            await reporter.report(
                .init(pod: Self.name, condition: .expired(at(60))), replacing: "on until 1970-01-01T00:01:00Z")
            try await until("expired") { server.reasons(about: "web") == ["BypassExpired"] }
            // Without its label the pod is no longer watched: the annotation stays.
            await reporter.report(.init(pod: Self.name, condition: .off(wasOn: false)), replacing: nil)
            await reporter.stop()
            let metadata = server.pod("web")?["metadata"]
            #expect(metadata?["labels"] == ["app": "web"])
            #expect(metadata?["annotations"]?["kmesh.net/bypass-status"]?.string == "expired 1970-01-01T00:01:00Z")
        }
    }

    @Test("Another pod of the same name is not changed")
    func successor() async throws {
        try await reporting { reporter, server in
            server.delete("web")
            await reporter.report(.init(pod: Self.name, condition: .on(until: nil)), replacing: nil)
            try await until("asked") { server.requests.contains { $0.verb == "PATCH" } }
            server.put("web", uid: "u-2")
            await reporter.report(.init(pod: Self.name, condition: .failed("x")), replacing: nil)
            try await until("asked again") { server.requests.count { $0.verb == "PATCH" } == 2 }
            await reporter.stop()
            #expect(server.annotation("kmesh.net/bypass-status", of: "web") == nil)
            #expect(server.events(about: "web").isEmpty)
        }
    }

    @Test("Events that the API server puts off do not delay the statuses of other pods")
    func delayedEvents() async throws {
        try await reporting { reporter, server in
            server.fail(.statusWithRetry(429, seconds: 300), times: .max) { $0.verb == "POST" }
            let names = (0..<6).map { "p\($0)" }
            for name in names {
                server.put(name, uid: "u-\(name)")
                let pod = PodReference(namespace: "default", name: name, uid: "u-\(name)")
                await reporter.report(.init(pod: pod, condition: .on(until: nil)), replacing: nil)
            }
            try await until("all are reported") {
                names.allSatisfy { server.annotation("kmesh.net/bypass-status", of: $0) == "on" }
            }
        }
    }

    @Test("A conflict is retried")
    func conflict() async throws {
        try await reporting { reporter, server in
            // The name has the letters of what a conflict of UIDs names.
            let message = #"Operation cannot be fulfilled on pods "fluid": the object has been modified"#
            server.fail(.status(409, "Conflict", message), times: 2) { $0.verb == "PATCH" }
            await reporter.report(.init(pod: Self.name, condition: .on(until: nil)), replacing: nil)
            try await until("reported") { server.annotation("kmesh.net/bypass-status", of: "web") == "on" }
        }
    }

    @Test(
        "What the API server refuses is tried again: permissions come back, and admission policies are changed",
        arguments: [
            (403, "Forbidden", #"pods "web" is forbidden: User "node-a" cannot patch resource "pods""#),
            // A starting server, until its roles are loaded.
            (403, "Forbidden", "RBAC: clusterrole \"bypass\" not found"),
            // A ValidatingAdmissionPolicy, with and without a reason of its own.
            (422, "Invalid", "ValidatingAdmissionPolicy 'labels' denied request: no"),
            (403, "Forbidden", "ValidatingAdmissionPolicy 'labels' denied request: no"), (400, "BadRequest", "webhook"),
        ])
    func denial(_ code: Int, _ reason: String, _ message: String) async throws {
        try await reporting { reporter, server in
            server.fail(.status(code, reason, message), times: 2) { $0.verb == "PATCH" }
            await reporter.report(.init(pod: Self.name, condition: .expired(at(60))), replacing: "on")
            try await until("reported") {
                server.annotation("kmesh.net/bypass-status", of: "web") == "expired 1970-01-01T00:01:00Z"
            }
            try await until("events") { server.reasons(about: "web") == ["BypassStatusFailed", "BypassExpired"] }
            #expect(server.events(about: "web").first?["message"]?.string?.hasSuffix(message) == true)
        }
    }

    @Test("An update that is refused is tried at once when the API server works again, and as the condition is then")
    func resumed() async throws {
        try await reporting { reporter, server in
            // Without that, the last attempt comes after 25 s at least.
            server.fail(.status(403, "Forbidden", "RBAC: not loaded"), times: 8) { $0.verb == "PATCH" }
            await reporter.report(.init(pod: Self.name, condition: .failed("x")), replacing: nil)
            try await until("refused") { server.requests.contains { $0.verb == "PATCH" } }
            await reporter.report(.init(pod: Self.name, condition: .on(until: nil)), replacing: nil)
            // The worker may not have begun to wait yet.
            for _ in 0..<2000 where server.annotation("kmesh.net/bypass-status", of: "web") == nil {
                await reporter.retryNow()
                try await Task.sleep(for: .milliseconds(5))
            }
            #expect(server.annotation("kmesh.net/bypass-status", of: "web") == "on")
        }
    }

    @Test("What the server puts off is not tried before, also where the API server works again")
    func putOff() async throws {
        try await reporting { reporter, server in
            server.fail(.statusWithRetry(429, seconds: 1)) { $0.verb == "PATCH" }
            let start = ContinuousClock.now
            await reporter.report(.init(pod: Self.name, condition: .on(until: nil)), replacing: nil)
            for _ in 0..<2000 where server.annotation("kmesh.net/bypass-status", of: "web") == nil {
                await reporter.retryNow()
                try await Task.sleep(for: .milliseconds(5))
            }
            #expect(server.annotation("kmesh.net/bypass-status", of: "web") == "on")
            #expect(start.duration(to: .now) >= .seconds(1))
        }
    }

    @Test("After an outage of the API server only the latest condition is reported")
    func outage() async throws {
        let errors = Errors()
        try await reporting(errors) { reporter, server in
            await server.stop()
            await reporter.report(.init(pod: Self.name, condition: .failed("x")), replacing: nil)
            await reporter.report(.init(pod: Self.name, condition: .failed("y")), replacing: nil)
            await reporter.report(.init(pod: Self.name, condition: .on(until: nil)), replacing: nil)
            try await until("the connection is refused") { errors.count > 0 }
            try await server.start()
            try await until("reported") { server.reasons(about: "web") == ["BypassEnabled"] }
            #expect(server.annotation("kmesh.net/bypass-status", of: "web") == "on")
        }
    }

    @Test("One pod cannot fill the cluster with Events")
    func flood() async throws {
        try await reporting { reporter, server in
            let client = try APIClient(ClusterAccess(server: server.url), userAgent: "test")
            let recorder = EventRecorder(client, node: "node-a")
            for number in 0..<40 {
                try await recorder.record(
                    .init(reason: "BypassFailed", isWarning: true, message: "\(number)"), about: Self.name)
            }
            await client.shutdown()
            #expect(server.events(about: "web").count == 25)
        }
    }

    @Test("Istio's mTLS is reported, also by default and where it is not known, unless it is disabled")
    func mutualTLS() async throws {
        try await reporting { reporter, server in
            let linkerd = pod(containers: ["app", "linkerd-proxy"])
            server.requireMutualTLS("STRICT", "mesh", in: "istio-system")
            await reporter.report(.init(pod: Self.name, condition: .on(until: nil), object: linkerd), replacing: nil)
            try await until("on") { server.reasons(about: "web") == ["BypassEnabled"] }
            await reporter.report(.init(pod: Self.name, condition: .off(wasOn: true)), replacing: nil)
            try await until("off") { server.reasons(about: "web").contains("BypassDisabled") }
            await reporter.report(.init(pod: Self.name, condition: .on(until: nil), object: pod()), replacing: "x")
            try await until("strict") { server.reasons(about: "web").contains("BypassStrictMTLS") }
            let event = server.events(about: "web").last
            #expect(event?["message"]?.string?.contains("istio-system/mesh") == true)
            #expect(event?["type"]?.string == "Warning")
        }
        func warning(_ prepare: (APIServer) -> Void) async throws -> String? {
            var found: String?
            try await reporting { reporter, server in
                prepare(server)
                await reporter.report(.init(pod: Self.name, condition: .on(until: nil), object: pod()), replacing: nil)
                try await until("asked") { server.requests.contains { $0.path.contains("istio-system") } }
                for _ in 0..<20 where server.reasons(about: "web").count < 2 {
                    try await Task.sleep(for: .milliseconds(10))
                }
                found = server.reasons(about: "web").first { $0 != "BypassEnabled" }
            }
            return found
        }
        #expect(try await warning { _ in } == "BypassPermissiveMTLS")
        #expect(try await warning { $0.requireMutualTLS("PERMISSIVE", in: "default") } == "BypassPermissiveMTLS")
        #expect(try await warning { $0.requireMutualTLS("DISABLE", in: "default") } == nil)
        #expect(
            try await warning { server in
                server.requireMutualTLS("DISABLE", in: "default")
                server.fail(.status(403, "Forbidden", "no")) { $0.path.contains("istio-system") }
            } == "BypassUnknownMTLS")
        // Before Istio 1.22, and without it.
        #expect(
            try await warning { server in
                server.fail(.status(404, "NotFound", "no"), times: 9) { $0.path.contains("peerauthentications") }
            } == "BypassPermissiveMTLS")
    }
}
