import BypassAPI
import BypassClient
import ControllerTestSupport
import Kubernetes
import StrictJSON
import Testing

@testable import BypassController

/// A daemon or an API server that refuses some of what the controller asks for.
@Suite(.timeLimit(.minutes(1))) struct FailureTests {
    private static let status = "kmesh.net/bypass-status"

    @Test("A change of a bypass that fails, and an end that fails, leave it on, and the pod says so")
    func unchanged() async throws {
        try await FakeDaemon.with(answer: bypass(), refusing: ["pod:u-1"]) { daemon in
            try await APIServer.with { server in
                server.put("web", uid: "u-1")
                let client = try APIClient(ClusterAccess(server: server.url), userAgent: "test")
                let controller = Controller(client, daemon: daemon.path)
                await controller.handle(.snapshot(ListMethod.Result(bypasses: [bypass(until: 4_000_000_000)])))
                let inbound = pod(annotations: ["kmesh.net/bypass-direction": "inbound"])
                await controller.handle(.snapshot([inbound]))
                let words = "on until 2096-10-02T07:06:40Z, unchanged: it may not"
                try await until("the change is reported") { server.annotation(Self.status, of: "web") == words }
                try await until("an Event") { server.reasons(about: "web") == ["BypassFailed"] }
                let message = server.events(about: "web").first?["message"]?.string
                #expect(message == "The bypass stays as it was: it may not.")
                server.annotate("web", [Self.status: .null])
                await controller.handle(.snapshot([Pod]()))
                try await until("the end is reported") { server.annotation(Self.status, of: "web") == words }
                await controller.stop()
                await client.shutdown()
            }
        }
    }

    @Test("A pod that is listed but cannot be read keeps its bypass; one that is not listed loses it")
    func unreadable() async throws {
        try await FakeDaemon.with(answer: bypass(state: .off)) { daemon in
            try await APIServer.with { server in
                for name in ["web", "web-2"] { server.put(name, labels: ["kmesh.net/bypass": "enabled"]) }
                let client = try APIClient(ClusterAccess(server: server.url), userAgent: "test")
                let watch = ResourceWatch<Pod>(client, "/api/v1/pods", selectors: [])
                let pods = try await watch.list(notOlderThan: nil).items
                let bypasses = pods.enumerated().map { number, pod in
                    var status = bypass(inode: UInt64(42 + number))
                    status.netns = "pod:" + pod.metadata.uid
                    status.owner = PodReference(pod).owner
                    return status
                }
                let controller = Controller(client, daemon: daemon.path)
                await controller.handle(.snapshot(ListMethod.Result(bypasses: bypasses)))
                await controller.handle(.snapshot(pods))
                server.patch("web", ["status": "none"])
                server.delete("web-2")
                var elements = watch.makeAsyncIterator()
                if let element = await elements.next() { await controller.handle(element) }
                let left = await controller.entries.values.compactMap(\.pod).map(\.metadata.name)
                #expect(left == ["web"])
                try await until("web-2 is off") { daemon.calls.contains("bypass \(bypasses[1].netns)") }
                await controller.stop()
                await client.shutdown()
            }
        }
    }

    @Test(
        "A pod that cannot be read at the start keeps its bypass as long as it is listed",
        arguments: [true, false])
    func unreadableAtStart(_ isDaemonFirst: Bool) async throws {
        var other = bypass(inode: 43)
        (other.netns, other.owner) = ("pod:u-2", "kubernetes:default/web-2/u-2")
        try await FakeDaemon.with(answer: bypass(state: .off)) { daemon in
            try await APIServer.with { server in
                server.put("web", uid: "u-1") { $0.setting("status", "none") }
                let client = try APIClient(ClusterAccess(server: server.url), userAgent: "test")
                let controller = Controller(client, daemon: daemon.path)
                let list = ListMethod.Result(bypasses: [bypass(), other])
                if isDaemonFirst { await controller.handle(.snapshot(list)) }
                var elements = ResourceWatch<Pod>(client, "/api/v1/pods", selectors: []).makeAsyncIterator()
                if let element = await elements.next() { await controller.handle(element) }
                if !isDaemonFirst { await controller.handle(.snapshot(list)) }
                try await until("the other is off") { daemon.calls.contains("bypass pod:u-2") }
                await controller.handle(.change(.repaired, .init(sequence: 1, bypass: bypass(generation: 8))))
                try await Task.sleep(for: .milliseconds(50))
                #expect(!daemon.calls.contains("bypass pod:u-1"))
                await controller.handle(.snapshot([Pod]()))
                try await until("it is off") { daemon.calls.contains("bypass pod:u-1") }
                await controller.stop()
                await client.shutdown()
            }
        }
    }

    @Test("The status of a pod whose processes are in several namespaces is that of the bypassed one")
    func severalNamespaces() async throws {
        let other = bypass(inode: 43)
        try await FakeDaemon.with(answer: bypass(), bypasses: [other, bypass(until: 60)], refusing: ["pod:u-1"]) {
            daemon in
            let client = DaemonClient(daemon.path) { _, _ in }
            let own = try await client.status(of: bypass())
            #expect(own?.expiresAt == at(60))
            let unknown = try await client.status(of: bypass(inode: 44))
            #expect(unknown == nil)
        }
    }

    /// Runs a controller that only takes back what an earlier one has done.
    private func disabled(
        _ server: APIServer, _ daemon: FakeDaemon, _ body: () async throws -> Void
    ) async throws {
        var configuration = ControllerService.Configuration(node: "node-a")
        configuration.socket = daemon.path
        configuration.healthPort = 0
        let service = try ControllerService(configuration, ClusterAccess(server: server.url), logger: .silent)
        let task = Task { try await service.run() }
        do {
            try await body()
        } catch {
            task.cancel()
            throw error
        }
        task.cancel()
        try await task.value
    }

    private static let annotations: JSONValue = ["kmesh.net/bypass-connections": "reset"]

    @Test(
        "A label that was removed while no controller ran ends the bypass as the pod says, in the namespace that has its address"
    )
    func lostLabel() async throws {
        try await FakeDaemon.with(answer: bypass(state: .off), ambiguous: ["pod:u-1"]) { daemon in
            try await APIServer.with { server in
                server.put("web", uid: "u-1", annotations: Self.annotations, addresses: ["10.0.0.7"])
                let client = try APIClient(ClusterAccess(server: server.url), userAgent: "test")
                let controller = Controller(client, daemon: daemon.path)
                await controller.handle(.snapshot(ListMethod.Result(bypasses: [bypass()])))
                await controller.handle(.snapshot([Pod]()))
                try await until("the bypass is off") { !daemon.changes.isEmpty }
                #expect(daemon.changes.first?["expectAddresses"] == ["10.0.0.7"])
                #expect(daemon.changes.first?["connections"] == "reset")
                try await until("an Event") { server.reasons(about: "web") == ["BypassDisabled"] }
                await controller.stop()
                await client.shutdown()
            }
        }
    }

    @Test("Disabled: the bypass of a pod ends in the namespace that has its address")
    func disabledInSeveralNamespaces() async throws {
        try await FakeDaemon.with(answer: bypass(state: .off), bypasses: [bypass()], ambiguous: ["pod:u-1"]) { daemon in
            try await APIServer.with { server in
                server.put("web", uid: "u-1", annotations: Self.annotations, addresses: ["10.0.0.7"])
                try await disabled(server, daemon) {
                    try await until("the bypass is off") { !daemon.changes.isEmpty }
                    #expect(daemon.changes.first?["expectAddresses"] == ["10.0.0.7"])
                    #expect(daemon.changes.first?["connections"] == "reset")
                }
            }
        }
    }

    @Test("Disabled: a bypass that cannot be turned off keeps no other on")
    func refusedEnd() async throws {
        var other = bypass()
        (other.netns, other.owner) = ("pod:u-2", "kubernetes:default/web-2/u-2")
        try await FakeDaemon.with(answer: bypass(state: .off), bypasses: [bypass(), other], refusing: ["pod:u-1"]) {
            daemon in
            try await APIServer.with { server in
                try await disabled(server, daemon) {
                    try await until("the other is off") { daemon.calls.contains("bypass pod:u-2") }
                }
            }
        }
    }

    @Test("Disabled: an API server that does not answer delays the end of the bypasses once, and not for long")
    func unreachableServer() async throws {
        let bypasses = (1...20).map { number in
            var status = bypass(inode: UInt64(42 + number))
            (status.netns, status.owner) = ("pod:u-\(number)", "kubernetes:default/web-\(number)/u-\(number)")
            return status
        }
        try await FakeDaemon.with(answer: bypass(state: .off), bypasses: bypasses) { daemon in
            try await APIServer.with { server in
                server.fail(.silence, times: .max)
                try await disabled(server, daemon) {
                    try await until("all are off") { daemon.changes.count == bypasses.count }
                }
            }
        }
    }

    @Test("Disabled: a status that may not be removed keeps no other, and Retry-After is kept")
    func refusedRemoval() async throws {
        try await FakeDaemon.with(answer: bypass(state: .off)) { daemon in
            try await APIServer.with { server in
                for name in ["a", "b"] { server.put(name, annotations: [Self.status: "on"]) }
                server.admit { review in
                    review["object"]?["metadata"]?["name"] == "a" ? .init(422, "Invalid", "denied request: no") : nil
                }
                try await disabled(server, daemon) {
                    try await until("b has none") { server.annotation(Self.status, of: "b") == nil }
                    #expect(server.annotation(Self.status, of: "a") == "on")
                    let start = ContinuousClock.now
                    server.fail(.statusWithRetry(429, seconds: 1)) { $0.verb == "PATCH" }
                    server.admit(by: nil)
                    try await until("a has none") { server.annotation(Self.status, of: "a") == nil }
                    #expect(start.duration(to: .now) >= .seconds(1))
                }
            }
        }
    }
}
