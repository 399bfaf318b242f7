import ControllerTestSupport
import MeshSandbox
import StrictJSON
import TestSupport
import Testing

extension ControllerTests {
    /// The kinds of pods on a node.
    @Suite struct PodTests {
        @Test("A pod that is not ready is bypassed when it is")
        func initContainers() async throws {
            try await ControllerRig.with { it in
                try await it.start()
                let initializing: JSONValue = [
                    "status": ["phase": "Pending", "conditions": [["type": "Initialized", "status": "False"]]]
                ]
                it.server.patch("web", initializing)
                it.server.label("web")
                try await it.says("waiting: its init containers have not finished")
                #expect(try await it.rig.list().isEmpty)
                it.server.patch("web", ["status": ["conditions": [["type": "Initialized", "status": "True"]]]])
                try await it.says("waiting: it is not running yet")
                #expect(try await it.sandbox.paths == .sidecar)
                it.server.patch("web", ["status": ["phase": "Running"]])
                try await it.becomes(.app)
                try await it.says("on")
            }
        }

        /// As the kubelet reports a crashing native sidecar: only `started` and the state of its container change.
        private static func sidecar(started: JSONValue) -> JSONValue {
            [
                "spec": [
                    "containers": [["name": "app"]],
                    "initContainers": [["name": "istio-init"], ["name": "istio-proxy", "restartPolicy": "Always"]],
                ],
                "status": [
                    "initContainerStatuses": [
                        ["name": "istio-init", "started": false, "state": ["terminated": ["exitCode": 0]]],
                        [
                            "name": "istio-proxy", "started": started,
                            "state": started == true ? ["running": [:]] : ["waiting": ["reason": "CrashLoopBackOff"]],
                        ],
                    ]
                ],
            ]
        }

        @Test("A sidecar that crashes neither ends the bypass of its pod nor prevents it")
        func crashing() async throws {
            try await ControllerRig.with { it in
                it.server.patch("web", Self.sidecar(started: true))
                it.server.label("web")
                try await it.start()
                try await it.becomes(.app)
                try await it.says("on")
                let before = try #require(try await it.rig.list().first)
                it.server.patch("web", Self.sidecar(started: false))
                // Earlier work is done once this is.
                it.server.annotate("web", ["kmesh.net/bypass-ttl": "soon"])
                try await eventually("the annotation is reported: \(it.log)") {
                    it.server.annotation("kmesh.net/bypass-status", of: "web")?.hasPrefix("on, unchanged: ") == true
                }
                #expect(try await it.rig.list().first?.generation == before.generation)
                #expect(try await it.sandbox.paths == .app)
                it.server.annotate("web", ["kmesh.net/bypass-ttl": .null])
                try await it.says("on")
                it.server.label("web", nil)
                try await it.becomes(.sidecar)
                it.server.label("web")
                try await it.becomes(.app)
                // The containers run again in a new sandbox: the bypass that runs stays with its namespace.
                it.server.patch("web", ["status": ["conditions": [["type": "Initialized", "status": "False"]]]])
                it.server.annotate("web", ["kmesh.net/bypass-reason": "later"])
                try await it.says("on")
                #expect(try await it.sandbox.paths == .app)
            }
        }

        @Test("A pod that has lost its bypass with its sandbox gets one for the rest of the time, not for all of it")
        func lostExpiry() async throws {
            try await ControllerRig.with { it in
                it.server.annotate("web", ["kmesh.net/bypass-ttl": "1h"])
                it.server.label("web")
                try await it.start()
                try await it.becomes(.app)
                func status() -> String? { it.server.annotation("kmesh.net/bypass-status", of: "web") }
                try await eventually("on: \(it.log)") { status()?.hasPrefix("on until ") == true }
                let end = try #require(status()?.dropFirst("on until ".count))
                it.server.patch("web", ["status": ["conditions": [["type": "Initialized", "status": "False"]]]])
                _ = try await it.rig.off("pod:" + it.uid)
                try await it.says("waiting: its init containers have not finished; until \(end)")
                // The annotation decides, not what the controller remembers.
                await it.kill(9)
                let other: JSONValue = "waiting: its init containers have not finished; until 2036-11-26T16:00:00Z"
                it.server.annotate("web", ["kmesh.net/bypass-status": other])
                it.server.patch("web", ["status": ["conditions": [["type": "Initialized", "status": "True"]]]])
                try await it.start()
                try await eventually("on again: \(it.log)") { status()?.hasPrefix("on until 2036-11-26T1") == true }
                try await it.becomes(.app)
            }
        }

        @Test("A Job that completes ends its bypass without a warning", arguments: ["Succeeded", "Failed"])
        func completed(_ phase: String) async throws {
            try await ControllerRig.with { it in
                try await it.start()
                it.server.label("web")
                try await it.becomes(.app)
                try await it.says("on")
                it.server.patch("web", ["status": ["phase": .string(phase)]])
                try await it.becomes(.sidecar)
                try await it.says(nil)
                // No Job runs again: here its next Event comes after all that there are about its end.
                it.server.patch("web", ["status": ["phase": "Running"]])
                try await eventually("the next Event: \(it.log)") {
                    it.server.events(about: "web").contains { $0["reason"] == "BypassEnabled" && $0["count"] == 2 }
                }
                let reasons = it.server.reasons(about: "web").filter { $0 != "BypassPermissiveMTLS" }
                #expect(reasons == ["BypassEnabled"])
            }
        }

        @Test("A node full of other pods: of the host's network, without sidecars, native sidecars, of other nodes")
        func others() async throws {
            try await ControllerRig.with { it in
                let enabled: JSONValue = ["kmesh.net/bypass": "enabled"]
                it.server.put("host", labels: enabled) {
                    $0.setting("spec", $0["spec"]?.setting("hostNetwork", true))
                }
                it.server.put("bare", labels: enabled) {
                    $0.setting("spec", ["nodeName": "node-a", "containers": [["name": "app"]]])
                }
                it.server.put("elsewhere", node: "node-b", labels: enabled)
                it.server.put("disabled", labels: ["kmesh.net/bypass": "disabled"])
                it.server.patch(
                    "web",
                    [
                        "spec": [
                            "containers": [["name": "app"]],
                            "initContainers": [
                                ["name": "istio-init"], ["name": "istio-proxy", "restartPolicy": "Always"],
                            ],
                        ]
                    ])
                it.server.label("web")
                try await it.start()
                try await it.becomes(.app)
                try await it.says("on")
                try await it.hasEvent("BypassFailed", "host")
                try await it.hasEvent("BypassFailed", "bare")
                #expect(it.server.annotation("kmesh.net/bypass-status", of: "bare")?.contains("no sidecar") == true)
                for name in ["elsewhere", "disabled"] {
                    #expect(it.server.annotation("kmesh.net/bypass-status", of: name) == nil)
                    #expect(it.server.events(about: name).isEmpty)
                }
                #expect(try await it.rig.list().count == 1)
                // Also after a restart nothing is reported twice.
                try await it.hasEvent("BypassPermissiveMTLS")
                let before = it.server.events(about: "bare") + it.server.events(about: "web")
                try await it.restart()
                try await it.restart()
                #expect(it.server.events(about: "bare") + it.server.events(about: "web") == before)
            }
        }

        @Test("A terminating pod keeps its bypass until it is deleted, and leaves nothing")
        func deletion() async throws {
            try await ControllerRig.with { it in
                try await it.start()
                it.server.label("web")
                try await it.becomes(.app)
                try await it.says("on")
                it.server.patch("web", ["metadata": ["deletionTimestamp": "2026-01-01T00:00:00Z"]])
                it.server.annotate("web", ["kmesh.net/bypass-direction": "inbound"])
                _ = it.server.takeRequests()
                it.server.put("other", labels: ["kmesh.net/bypass": "enabled"]) {
                    $0.setting("spec", ["nodeName": "node-a"])
                }
                // Earlier work is done once this is.
                try await it.hasEvent("BypassFailed", "other")
                #expect(try await it.sandbox.paths == .app)
                it.server.delete("web")
                try await it.becomes(.sidecar)
                #expect(try await it.rig.list().isEmpty)
                #expect(!it.server.reasons(about: "web").contains("BypassDisabled"))
                #expect(!it.log.contains("failed") && !it.log.contains("warning"), "\(it.log)")
            }
        }

        @Test("Another pod's namespace is not changed: it must have one of the pod's addresses")
        func addresses() async throws {
            try await ControllerRig.with { it in
                try await it.start()
                it.server.put("web", uid: it.uid, addresses: ["10.244.1.7"])
                it.server.label("web")
                try await eventually("it is reported: \(it.log)", within: .seconds(20)) {
                    it.server.annotation("kmesh.net/bypass-status", of: "web")?
                        .contains("none of the expected addresses (10.244.1.7)") == true
                }
                try await it.hasEvent("BypassFailed")
                #expect(try await it.sandbox.paths == .sidecar)
                it.server.put(
                    "web", uid: it.uid, labels: ["kmesh.net/bypass": "enabled"], addresses: ["10.244.1.7", "fd89::1"])
                try await it.becomes(.app)
            }
        }

        @Test("A pod that cannot be found delays no other")
        func stuck() async throws {
            try await ControllerRig.with { it in
                for number in 0..<20 {
                    it.server.put(
                        "lost\(number)", uid: "00000000-0000-4000-8000-00000000000\(number)",
                        labels: ["kmesh.net/bypass": "enabled"])
                }
                try await it.start()
                it.server.label("web")
                try await it.becomes(.app, within: .seconds(5))
                it.server.label("web", nil)
                try await it.becomes(.sidecar, within: .seconds(5))
                try await eventually("it is reported: \(it.log)", within: .seconds(20)) {
                    it.server.annotation("kmesh.net/bypass-status", of: "lost7")?.contains("no network namespace")
                        == true
                }
            }
        }
    }
}
