import BypassAPI
import BypassClient
import ControllerTestSupport
import Kubernetes
import StrictJSON
import Testing

@testable import BypassController

/// A bypass that has expired while no controller watched, and before the pod said that it is on.
@Suite(.timeLimit(.minutes(1))) struct MissedExpiryTests {
    private static let status = "kmesh.net/bypass-status"
    private static let end: Timestamp = at(1000)
    private static let ttl: [String: String] = ["kmesh.net/bypass-ttl": "1h"]

    private func with(
        _ expired: BypassStatus.Expired?, ambiguous: Set<String> = [],
        _ body: (Controller, FakeDaemon, APIServer) async throws -> Void
    ) async throws {
        var status = bypass(state: .off)
        (status.owner, status.expired) = (nil, expired)
        try await FakeDaemon.with(answer: status, ambiguous: ambiguous) { daemon in
            try await APIServer.with { server in
                server.put("web", uid: "u-1", labels: ["kmesh.net/bypass": "enabled"])
                let client = try APIClient(ClusterAccess(server: server.url), userAgent: "test")
                let controller = Controller(client, daemon: daemon.path)
                try await body(controller, daemon, server)
                await controller.stop()
                await client.shutdown()
            }
        }
    }

    private static let own: BypassStatus.Expired = .init(at: end, owner: "kubernetes:default/web/u-1")

    @Test(
        "A TTL does not begin again",
        arguments: [
            ttl,
            // A default of the node's policy.
            [:],
            ttl.merging([status: "waiting: it is not running yet"]) { $1 },
            // An earlier one; the label that `kubectl bypass` has set then.
            ttl.merging([status: "expired 1970-01-01T00:16:39Z"]) { $1 },
            ttl.merging(["kmesh.net/bypass-since": "1970-01-01T00:16:39Z"]) { $1 },
        ])
    func expired(_ annotations: [String: String]) async throws {
        try await with(Self.own) { controller, daemon, server in
            await controller.handle(.snapshot(ListMethod.Result(bypasses: [])))
            await controller.handle(.snapshot([pod(annotations: annotations)]))
            try await until("the end is reported") {
                server.annotation(Self.status, of: "web") == "expired \(Self.end)"
            }
            #expect(daemon.calls == ["status pod:u-1"] && !server.hasLabel("web"))
        }
    }

    @Test(
        "A label that was set again, and another pod's bypass before, are no reason not to start",
        arguments: [
            (ttl.merging([status: "expired 1970-01-01T00:16:40Z"]) { $1 }, own),
            (ttl.merging(["kmesh.net/bypass-since": "1970-01-01T00:16:40Z"]) { $1 }, own),
            (ttl, BypassStatus.Expired(at: end, owner: "kubernetes:default/web/u-2")),
            (ttl, BypassStatus.Expired(at: end, owner: "alice")), (ttl, nil),
        ])
    func started(_ annotations: [String: String], _ expired: BypassStatus.Expired?) async throws {
        try await with(expired) { controller, daemon, _ in
            await controller.handle(.snapshot(ListMethod.Result(bypasses: [])))
            await controller.handle(.snapshot([pod(annotations: annotations)]))
            try await until("it is turned on") { daemon.calls.count >= 2 }
            #expect(daemon.calls.prefix(2) == ["status pod:u-1", "bypass pod:u-1"])
        }
    }

    @Test("Of a pod whose processes are in several namespaces, the one with its address is asked for")
    func severalNamespaces() async throws {
        for expired in [Self.own, nil] {
            try await with(expired, ambiguous: ["pod:u-1"]) { controller, daemon, server in
                await controller.handle(.snapshot(ListMethod.Result(bypasses: [])))
                await controller.handle(.snapshot([pod(annotations: Self.ttl)]))
                if expired == nil {
                    try await until("it is turned on") { !daemon.changes.isEmpty }
                } else {
                    try await until("the label is removed") { !server.hasLabel("web") }
                    #expect(daemon.calls == ["status pod:u-1", "status pod:u-1"])
                }
            }
        }
    }

    @Test("A pod that is labelled while the controller watches is not looked up")
    func labelledLater() async throws {
        try await with(Self.own) { controller, daemon, _ in
            await controller.handle(.snapshot(ListMethod.Result(bypasses: [])))
            await controller.handle(.snapshot([Pod]()))
            await controller.handle(.changed(pod(annotations: Self.ttl)))
            try await until("it is turned on") { !daemon.calls.isEmpty }
            #expect(daemon.calls.first == "bypass pod:u-1")
        }
    }

    @Test("A shorter TTL that was set while no controller watched takes effect")
    func shorterTTL() async throws {
        try await with(nil) { controller, daemon, server in
            let reported = Self.ttl.merging([Self.status: "on until 2096-10-02T07:06:40Z"]) { $1 }
            await controller.handle(.snapshot(ListMethod.Result(bypasses: [bypass(until: 4_000_000_000)])))
            await controller.handle(.snapshot([pod(annotations: reported)]))
            await controller.handle(.changed(pod(annotations: Self.ttl)))
            try await until("it is turned on") { !daemon.changes.isEmpty }
            #expect(daemon.changes.map { $0["ttl"] } == [3600])
        }
    }

    @Test("What expires while the daemon is not connected is reported, too")
    func disconnected() async throws {
        try await with(Self.own) { controller, daemon, server in
            let end = Timestamp.now.secondsSince1970 + 1800
            await controller.handle(.snapshot(ListMethod.Result(bypasses: [bypass(until: end)])))
            await controller.handle(.snapshot([pod(annotations: Self.ttl)]))
            await controller.handle(.disconnected(.connectionClosed))
            await controller.handle(.snapshot(ListMethod.Result(bypasses: [])))
            try await until("the end is reported") {
                server.annotation(Self.status, of: "web") == "expired \(Self.end)"
            }
            #expect(!daemon.calls.contains("bypass pod:u-1"))
        }
    }
}
