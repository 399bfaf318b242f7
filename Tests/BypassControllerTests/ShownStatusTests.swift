import BypassAPI
import ControllerTestSupport
import Kubernetes
import PodBypass
import StrictJSON
import Testing

@testable import BypassController

extension StatusReporterTests {
    @Test("A status that was lost on the pod after it was written is written again")
    func lost() async throws {
        try await reporting { reporter, server in
            func seen() throws -> Pod {
                try JSONDecoding.decode(from: try #require(server.pod("web")), unknownMembers: .ignore)
            }
            func report() async throws {
                let object = try seen()
                await reporter.report(
                    .init(pod: Self.name, condition: .on(until: nil), object: object),
                    replacing: object.metadata.annotations["kmesh.net/bypass-status"])
            }
            let before = try seen()
            try await report()
            try await until("reported") { server.annotation("kmesh.net/bypass-status", of: "web") == "on" }
            try await until("events") { server.reasons(about: "web").count == 2 }
            // The watch lags behind the own write: nothing is written again.
            _ = server.takeRequests()
            await reporter.report(.init(pod: Self.name, condition: .on(until: nil), object: before), replacing: nil)
            try await Task.sleep(for: .milliseconds(50))
            #expect(!server.requests.contains { $0.verb == "PATCH" })
            server.annotate("web", ["kmesh.net/bypass-status": .null])
            try await report()
            try await until("reported again") { server.annotation("kmesh.net/bypass-status", of: "web") == "on" }
        }
    }

    @Test("Where the pods were listed again, what was written before is not taken for what they have")
    func listedAgain() async throws {
        try await reporting { reporter, server in
            await reporter.report(.init(pod: Self.name, condition: .on(until: nil)), replacing: nil)
            try await until("reported") { server.reasons(about: "web") == ["BypassEnabled"] }
            // A restored backup: an older pod, with a lower version.
            server.annotate("web", ["kmesh.net/bypass-status": .null])
            await reporter.forgetWritten()
            await reporter.report(.init(pod: Self.name, condition: .on(until: nil)), replacing: nil)
            try await until("reported again") { server.annotation("kmesh.net/bypass-status", of: "web") == "on" }
        }
    }

    /// The watch shows a pod that has left its selection as it was before, with the version of the change.
    @Test("'expired' stays where the watch shows that its write has removed the label")
    func shownMeanwhile() async throws {
        try await reporting { reporter, server in
            server.fail(.statusWithRetry(429, seconds: 1), times: 1) { $0.verb == "POST" }
            let before = "on until 2026-01-01T00:00:00Z"
            await reporter.report(.init(pod: Self.name, condition: .expired(at(60))), replacing: before)
            try await until("the Event is tried") { server.requests.contains { $0.verb == "POST" } }
            let pod = try JSONDecoding.decode(Pod.self, from: #require(server.pod("web")), unknownMembers: .ignore)
            await reporter.report(.init(pod: Self.name, condition: .off(wasOn: false), object: pod), replacing: before)
            try await until("the Event is written") { server.events(about: "web").count == 1 }
            await reporter.report(.init(pod: Self.name, condition: .failed("next")), replacing: nil)
            try await until("what follows is written") {
                server.annotation("kmesh.net/bypass-status", of: "web") == "failed: next"
            }
            #expect(server.requests.count { $0.verb == "PATCH" && $0.path.contains("/pods/") } == 2)
        }
    }

    @Test("A status that the watch has shown is not written again while an Event about it is being written")
    func shownAgain() async throws {
        try await reporting { reporter, server in
            server.fail(.statusWithRetry(429, seconds: 1), times: 1) { $0.verb == "POST" }
            await reporter.report(.init(pod: Self.name, condition: .on(until: nil)), replacing: nil)
            try await until("the Event is tried") { server.requests.contains { $0.verb == "POST" } }
            server.patch("web", ["status": ["message": "well"]])
            let pod = try JSONDecoding.decode(Pod.self, from: #require(server.pod("web")), unknownMembers: .ignore)
            await reporter.report(.init(pod: Self.name, condition: .on(until: nil), object: pod), replacing: "on")
            try await until("the Event is written") { server.events(about: "web").count == 1 }
            await reporter.report(.init(pod: Self.name, condition: .failed("next")), replacing: "on")
            try await until("what follows is written") {
                server.annotation("kmesh.net/bypass-status", of: "web") == "failed: next"
            }
            #expect(server.requests.count { $0.verb == "PATCH" && $0.path.contains("/pods/") } == 2)
        }
    }
}
