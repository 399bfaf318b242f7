import ControllerTestSupport
import MeshSandbox
import StrictJSON
import TestSupport
import Testing

extension ControllerTests {
    /// Bypasses of other owners are left alone, and its own are restored.
    @Suite struct OwnershipTests {
        @Test("Another owner's bypass of the pod is not changed; the controller's starts when that one ends")
        func foreign() async throws {
            try await ControllerRig.with { it in
                try await it.start()
                try await it.rig.on(direction: "inbound", owner: "alice")
                it.server.label("web")
                try await eventually("it is reported: \(it.log)") {
                    it.server.annotation("kmesh.net/bypass-status", of: "web")?.hasPrefix(
                        "failed: alice has bypassed pod:\(it.uid)") == true
                }
                #expect(try await it.sandbox.paths == .bypassed("inbound"))
                it.server.label("web", nil)
                try await it.says(nil)
                #expect(try await it.rig.list().map(\.owner) == ["alice"])
                it.server.label("web")
                try await eventually("it is reported again") {
                    it.server.annotation("kmesh.net/bypass-status", of: "web")?.hasPrefix(
                        "failed: alice has bypassed pod:\(it.uid)") == true
                }
                try await it.rig.off()
                try await it.becomes(.app, within: .seconds(5))
                #expect(try await it.rig.list().map(\.owner) == [it.owner])
            }
        }

        @Test("A bypass that another owner takes over is theirs; one that is turned off is turned on again")
        func interference() async throws {
            try await ControllerRig.with { it in
                try await it.start()
                it.server.label("web")
                try await it.becomes(.app)
                try await it.rig.on(direction: "outbound", owner: "alice")
                try await eventually("it is reported: \(it.log)") {
                    it.server.annotation("kmesh.net/bypass-status", of: "web")?.hasPrefix(
                        "failed: alice has bypassed pod:\(it.uid)") == true
                }
                it.server.label("web", nil)
                try await it.says(nil)
                #expect(try await it.rig.list().map(\.owner) == ["alice"])
                it.server.label("web")
                try await it.rig.off()
                try await it.becomes(.app)
                // The label is what counts.
                try await it.rig.off()
                try await it.becomes(.app)
            }
        }

        @Test("A flushed rule is restored without a report; a rule that overrides the bypass is reported")
        func effect() async throws {
            try await ControllerRig.with { it in
                try await it.start()
                try await it.sandbox.installTPROXY(.nftables, priority: -160)
                it.server.label("web")
                try await it.says("on, not effective for some connections: tproxy")
                try await it.hasEvent("BypassNotEffective")
                try await it.sandbox.removeTPROXY(.nftables)
                try await it.says("on", within: .seconds(25))
                try await it.sandbox.install(.iptables, flushing: true)
                try await eventually("it is repaired") { try await it.rig.list().first?.state == "on" }
                #expect(it.server.reasons(about: "web").count { $0 == "BypassNotEffective" } == 1)
            }
        }

        @Test("Disabled, it ends its own bypasses and removes its statuses, and leaves those of others alone")
        func disabled() async throws {
            try await ControllerRig.with { it in
                try await it.rig.on(it.sandbox.peer, owner: "alice")
                try await it.start()
                it.server.label("web")
                try await it.becomes(.app)
                try await it.says("on")
                it.server.put("expired", annotations: ["kmesh.net/bypass-status": "expired 2026-01-01T00:00:00Z"])
                it.server.put("elsewhere", node: "node-b", annotations: ["kmesh.net/bypass-status": "on"])
                await it.kill(15)
                #expect(try await it.sandbox.paths == .app)
                it.server.fail(.status(403, "Forbidden", "RBAC: not loaded")) { $0.verb == "PATCH" }
                try await it.start(["--enable-bypass=false"])
                try await it.becomes(.sidecar)
                try await it.says(nil)
                try await it.says(nil, "expired")
                try await it.says("on", "elsewhere")
                await it.kill(15)
                _ = it.server.takeRequests()
                // Disabled is the default.
                try await it.start([])
                #expect(try await it.rig.list().map(\.owner) == ["alice"])
                #expect(!it.server.requests.contains { $0.isWatch || $0.verb != "GET" })
            }
        }

        @Test("An idle controller sends nothing but its watch")
        func idle() async throws {
            try await ControllerRig.with { it in
                it.server.label("web")
                try await it.start()
                try await it.says("on")
                try await it.hasEvent("BypassEnabled")
                // PeerAuthentications are listed in two namespaces, and an Event says what was found; then nothing.
                try await it.hasEvent("BypassPermissiveMTLS")
                #expect(it.server.requests.count { $0.path.contains("peerauthentications") } == 2)
                _ = it.server.takeRequests()
                try await Task.sleep(for: .seconds(3))
                // The kubelet updates the status now and then.
                it.server.patch("web", ["status": ["message": "well"]])
                try await Task.sleep(for: .seconds(2))
                #expect(it.server.requests == [])
            }
        }

        @Test("It runs unprivileged, and serves health and metrics")
        func privilege() async throws {
            try await ControllerRig.with { it in
                it.server.label("web")
                try await it.start()
                try await it.becomes(.app)
                let status = try it.processStatus
                #expect(status["Uid:"] == "\(it.user.uid)")
                for name in ["CapEff:", "CapPrm:", "CapInh:"] { #expect(status[name] == "0000000000000000") }
                let metrics = try await it.probe("metrics").output
                #expect(metrics.contains("\nkmesh_bypass_controller_bypassed_pods 1\n"))
                #expect(metrics.contains(#"kmesh_bypass_controller_daemon_calls_total{operation="on",result="ok"} 1"#))
                #expect(metrics.contains(#"kmesh_bypass_controller_api_requests_total{code="200",verb="WATCH"} 1"#))
                #expect(try await it.probe("readyz") == CommandResult(code: 0, output: "ok\n"))
            }
        }
    }
}
