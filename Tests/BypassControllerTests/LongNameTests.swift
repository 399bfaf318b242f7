import BypassAPI
import BypassClient
import ControllerTestSupport
import Kubernetes
import StrictJSON
import Testing

@testable import BypassController

/// A pod whose name does not fit into the owner of its bypass.
@Suite(.timeLimit(.minutes(1))) struct LongNameTests {
    private static let name = String(repeating: "x", count: 250)

    private func with(_ body: (Controller, APIServer, Pod) async throws -> Void) async throws {
        var pod = pod()
        pod.metadata.name = Self.name
        var status = bypass()
        status.owner = PodReference(pod).owner
        #expect(PodReference(owner: status.owner)?.name != Self.name)
        try await FakeDaemon.with(answer: bypass(state: .off)) { daemon in
            try await APIServer.with { server in
                server.put(Self.name, uid: "u-1")
                let client = try APIClient(ClusterAccess(server: server.url), userAgent: "test")
                let controller = Controller(client, daemon: daemon.path)
                await controller.handle(.snapshot(ListMethod.Result(bypasses: [status])))
                try await body(controller, server, pod)
                await controller.stop()
                await client.shutdown()
            }
        }
    }

    @Test("Its status is reported also if the daemon has reported its bypass first")
    func labelled() async throws {
        try await with { controller, server, pod in
            await controller.handle(.snapshot([pod]))
            try await until("the status is reported") {
                server.annotation("kmesh.net/bypass-status", of: Self.name) == "on"
            }
        }
    }

    @Test("The end of its bypass is reported if it has lost its label before the pods were listed")
    func unlabelled() async throws {
        try await with { controller, server, pod in
            var pod = pod
            pod.metadata.annotations = ["kmesh.net/bypass-status": "on"]
            await controller.handle(.deleted(pod))
            await controller.handle(.snapshot([Pod]()))
            try await until("the end is reported") { server.reasons(about: Self.name) == ["BypassDisabled"] }
        }
    }
}
