import ControllerTestSupport
import MeshSandbox
import TestSupport
import Testing

extension ControllerTests {
    /// Errors at start, and their exit codes.
    @Suite struct StartTests {
        @Test("Missing or invalid configuration is reported, with a hint")
        func missing() async throws {
            try await ControllerRig.with { it in
                let node = ["--node-name", "node-a"]
                var ending = try await it.ending([])
                #expect(ending.code == 78 && ending.errors.joined().contains("Name it with --node-name"))
                ending = try await it.ending(node + ["--kubeconfig", "/nowhere"])
                #expect(ending.code == 78 && ending.errors.joined().contains("/nowhere cannot be read"))
                ending = try await it.ending(node + ["--enable-bypass=perhaps"])
                #expect(ending.code == 64)
                ending = try await it.ending(node + ["--health-address", "9466"])
                #expect(ending.code == 64 && ending.errors.joined().contains("HOST:PORT"))
                ending = try await it.ending(node + ["--log-level", "loud"])
                #expect(ending.code == 64 && ending.errors.joined().contains("there is no level loud"))
            }
        }

        @Test("A health port in use is reported, and the running controller is not disturbed")
        func port() async throws {
            try await ControllerRig.with { it in
                try await it.start()
                let ending = try await it.ending([
                    "--node-name", "node-a", "--kubeconfig", it.folder + "/kubeconfig", "--health-address", it.health,
                ])
                #expect(ending.code == 69 && ending.errors.joined().contains("name another with --health-address"))
                #expect(try await it.probe("readyz").code == 0)
                // A half-closed connection still gets its response.
                let page = try await it.sandbox.run(
                    ["socat", "-", "TCP:\(it.health)"], in: .host, input: "GET /healthz HTTP/1.0\r\n\r\n")
                #expect(page.hasSuffix("\r\n\r\nok\n"), "\(page)")
                await it.kill(15)
                let start = ContinuousClock.now
                let probe = try await it.probe("healthz")
                #expect(probe.code == 1 && start.duration(to: .now) < .seconds(3))
            }
        }

        @Test("It stops at once and cleanly during a storm of connections to its health port")
        func end() async throws {
            try await ControllerRig.with { it in
                for _ in 0..<5 {
                    try await it.start()
                    let start = ContinuousClock.now
                    let exit = try await withConnectStorm(on: it.healthPort) { await it.kill(15) }
                    #expect(exit == .code(0), "\(it.log)")
                    // This API server does not see that a connection on which it is answering a watch is being closed.
                    #expect(start.duration(to: .now) < .seconds(3))
                }
            }
        }

        @Test("A socket without access is reported")
        func denied() async throws {
            try await ControllerRig.with { it in
                try await it.sandbox.run(["chmod", "0600", it.rig.socket], in: .host)
                it.server.label("web")
                try await it.start(waits: false)
                try await it.says("failed: access to \(it.rig.socket) is denied", within: .seconds(30))
                try await it.rig.openSocket()
                try await it.becomes(.app, within: .seconds(20))
            }
        }
    }
}
