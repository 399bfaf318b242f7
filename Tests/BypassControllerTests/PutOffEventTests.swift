import ControllerTestSupport
import Kubernetes
import PodBypass
import StrictJSON
import Testing

@testable import BypassController

/// Events that the API server puts off, with 429 and Retry-After.
extension StatusReporterTests {
    private static let status = "kmesh.net/bypass-status"

    @Test(
        "What is put off of a pod's Events does not delay its next status",
        arguments: ["default/events", "peerauthentications"])
    func putOffEvent(_ path: String) async throws {
        try await reporting { reporter, server in
            server.fail(.statusWithRetry(429, seconds: 300), times: .max) { $0.path.contains(path) }
            await reporter.report(.init(pod: Self.name, condition: .on(until: nil), object: pod()), replacing: nil)
            try await until("it is put off") { server.requests.contains { $0.path.contains(path) } }
            await reporter.report(.init(pod: Self.name, condition: .failed("x")), replacing: nil)
            try await until("the next status") { server.annotation(Self.status, of: "web") == "failed: x" }
        }
    }

    @Test("An Event about a status that was refused does not delay the next attempt")
    func putOffDenial() async throws {
        try await reporting { reporter, server in
            server.fail(.statusWithRetry(429, seconds: 300), times: .max) { $0.verb == "POST" }
            server.fail(.status(403, "Forbidden", "no")) { $0.verb == "PATCH" }
            await reporter.report(.init(pod: Self.name, condition: .on(until: nil)), replacing: nil)
            try await until("the status") { server.annotation(Self.status, of: "web") == "on" }
        }
    }

    @Test("Events that were put off come once each, and in the order of the statuses")
    func order() async throws {
        try await reporting { reporter, server in
            server.fail(.statusWithRetry(429, seconds: 1)) { $0.verb == "POST" }
            let conditions: [BypassCondition] = [
                .failed("x"), .on(until: nil), .refused("y"), .nothingToBypass(until: nil), .off(wasOn: true),
            ]
            for condition in conditions {
                await reporter.report(.init(pod: Self.name, condition: condition), replacing: "another")
                try await until("\(condition)") {
                    server.annotation(Self.status, of: "web") == condition.annotation
                }
            }
            try await until("all Events") { server.reasons(about: "web").count == conditions.count }
            #expect(
                server.reasons(about: "web") == [
                    "BypassFailed", "BypassEnabled", "BypassFailed", "BypassEnabled", "BypassDisabled",
                ])
            #expect(server.events(about: "web").map { $0["count"] } == [1, 1, 1, 1, 1])
        }
    }
}
