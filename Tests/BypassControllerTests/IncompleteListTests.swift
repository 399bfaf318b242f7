import BypassAPI
import BypassClient
import ControllerTestSupport
import Kubernetes
import Testing

@testable import BypassController

/// A daemon's list that is too long to show all bypasses.
@Suite(.timeLimit(.minutes(1))) struct IncompleteListTests {
    private func with(
        _ status: BypassStatus, _ body: (Controller, FakeDaemon) async throws -> Void
    ) async throws {
        try await FakeDaemon.with(answer: status) { daemon in
            try await APIServer.with { server in
                let client = try APIClient(ClusterAccess(server: server.url), userAgent: "test")
                let controller = Controller(client, daemon: daemon.path)
                let list = ListMethod.Result(
                    bypasses: [], warnings: [.init(code: "truncated", message: "one more is not shown")])
                #expect(!list.isComplete)
                await controller.handle(.snapshot(list))
                try await body(controller, daemon)
                await controller.stop()
                await client.shutdown()
            }
        }
    }

    private func until(_ calls: [String], _ daemon: FakeDaemon) async throws {
        for _ in 0..<2000 where daemon.calls.count < calls.count { try await Task.sleep(for: .milliseconds(5)) }
        try await Task.sleep(for: .milliseconds(50))
        #expect(daemon.calls == calls)
    }

    @Test("A bypass that it does not show is looked up, and not turned on again")
    func on() async throws {
        try await with(bypass()) { controller, daemon in
            await controller.handle(.snapshot([pod()]))
            try await until(["status pod:u-1"], daemon)
            // The answer may take a moment.
            for _ in 0..<2000 where await controller.entries["u-1"]?.bypass == nil {
                try await Task.sleep(for: .milliseconds(5))
            }
            #expect(await controller.entries["u-1"]?.bypass?.inode == 42)
            #expect(daemon.calls == ["status pod:u-1"])
            // A pod that loses its label now is turned off.
            await controller.handle(.snapshot([Pod]()))
            try await until(["status pod:u-1", "bypass pod:u-1"], daemon)
        }
    }

    @Test("A pod whose bypass is off is turned on", arguments: [true, false])
    func off(_ isForeign: Bool) async throws {
        var status = bypass(state: isForeign ? .on : .off)
        if isForeign { status.owner = "alice" }
        try await with(status) { controller, daemon in
            await controller.handle(.snapshot([pod()]))
            try await until(["status pod:u-1", "bypass pod:u-1"], daemon)
        }
    }

    @Test("A complete list is believed")
    func complete() async throws {
        try await with(bypass()) { controller, daemon in
            await controller.handle(.snapshot(ListMethod.Result(bypasses: [bypass()])))
            await controller.handle(.snapshot([pod()]))
            try await until([], daemon)
        }
    }
}
