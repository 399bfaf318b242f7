import BypassAPI
import BypassClient
import ControllerTestSupport
import Kubernetes
import Testing

@testable import BypassController

/// When the controller says that it is ready.
@Suite(.timeLimit(.minutes(1))) struct ReadinessTests {
    private func with(_ body: (Controller) async throws -> Void) async throws {
        try await APIServer.with { server in
            let client = try APIClient(ClusterAccess(server: server.url), userAgent: "test")
            let controller = Controller(client, daemon: "/nowhere")
            try await body(controller)
            await controller.stop()
            await client.shutdown()
        }
    }

    @Test("It is ready once pods and bypasses are synced")
    func synced() async throws {
        try await with { controller in
            #expect(await controller.notReadyReason == "the pods are not synced yet")
            await controller.handle(.disconnected(.refused(APIStatus(code: 403, message: "RBAC: not loaded"))))
            #expect(await controller.notReadyReason == "the API server refused with 403: RBAC: not loaded")
            await controller.handle(.snapshot([Pod]()))
            #expect(await controller.notReadyReason == "the daemon has not answered yet")
            await controller.handle(.snapshot(ListMethod.Result(bypasses: [])))
            #expect(await controller.notReadyReason == nil)
        }
    }

    @Test(
        "Without a working watch for a minute it is not ready, whatever the reason, until the watch works again",
        arguments: [
            APIError.refused(APIStatus(code: 403, message: "no")), .unreachable("connection refused"), .timedOut,
            .unreachable("its certificate is not signed by the expected CA"),
        ])
    func withoutWatch(_ error: APIError) async throws {
        try await with { controller in
            await controller.handle(.snapshot([Pod]()))
            await controller.handle(.snapshot(ListMethod.Result(bypasses: [])))
            #expect(await controller.watchAge == .zero)
            await controller.handle(.disconnected(error))
            await controller.setBack(.seconds(59))
            // The watch fails again and again: the first failure counts.
            await controller.handle(.disconnected(error))
            #expect(await controller.notReadyReason == nil)
            await controller.setBack(.seconds(1))
            let reason = await controller.notReadyReason
            #expect(reason == "the pods have not been watched for 60 s: \(error)")
            #expect(await controller.watchAge.components.seconds == 60)
            await controller.handle(ResourceWatch<Pod>.Element.resumed)
            #expect(await controller.notReadyReason == nil)
            #expect(await controller.watchAge == .zero)
        }
    }
}

extension Controller {
    /// Has the failure of the watch be older.
    fileprivate func setBack(_ duration: Duration) {
        watchFailure?.since -= duration
    }
}
