import ControllerTestSupport
import MeshSandbox
import StrictJSON
import TestSupport
import Testing

extension ControllerTests {
    /// Controller, daemon and API server stop and start again, and labels change meanwhile.
    @Suite struct AbsenceTests {
        enum Part: CaseIterable {
            case controller, daemon, apiServer
        }

        private func leave(_ part: Part, _ it: ControllerRig) async throws {
            switch part {
            case .controller: await it.kill(9)
            case .daemon:
                try it.rig.daemon.kill(9)
                _ = try await it.rig.daemon.exit()
            case .apiServer: await it.server.stop()
            }
        }

        private func comeBack(_ part: Part, _ it: ControllerRig) async throws {
            switch part {
            case .controller: try await it.start(waits: false)
            case .daemon:
                try await it.rig.start()
                try await it.rig.openSocket()
            case .apiServer: try await it.server.start()
            }
        }

        @Test("A label that is removed while one of them is down ends the bypass", arguments: Part.allCases)
        func unlabelled(_ part: Part) async throws {
            try await ControllerRig.with { it in
                try await it.start()
                it.server.label("web")
                try await it.becomes(.app)
                try await it.says("on")
                try await leave(part, it)
                it.server.label("web", nil)
                try await comeBack(part, it)
                try await it.becomes(.sidecar, within: .seconds(20))
                try await it.says(nil)
                try await it.hasEvent("BypassDisabled")
            }
        }

        @Test("A status is removed whose pod has lost its label while no controller ran; `expired` stays")
        func staleStatus() async throws {
            try await ControllerRig.with { it in
                try await it.start()
                it.server.annotate("web", ["kmesh.net/bypass-ttl": "soon"])
                it.server.label("web")
                try await it.hasEvent("BypassFailed")
                try await leave(.controller, it)
                it.server.label("web", nil)
                it.server.put("old", annotations: ["kmesh.net/bypass-status": "expired 2026-01-01T00:00:00Z"])
                it.server.put("elsewhere", node: "node-b", annotations: ["kmesh.net/bypass-status": "on"])
                // The pod changes between the list and the patch, and roles are loaded late.
                it.server.fail(.status(409, "Conflict", "the object has been modified")) { $0.verb == "PATCH" }
                it.server.fail(.status(403, "Forbidden", "RBAC: not loaded")) { $0.verb == "GET" && !$0.isWatch }
                try await comeBack(.controller, it)
                try await it.says(nil)
                try await it.says("expired 2026-01-01T00:00:00Z", "old")
                try await it.says("on", "elsewhere")
            }
        }

        @Test("A label that is set while one of them is down starts the bypass", arguments: Part.allCases)
        func labelled(_ part: Part) async throws {
            try await ControllerRig.with { it in
                try await it.start()
                try await leave(part, it)
                it.server.label("web")
                try await comeBack(part, it)
                try await it.becomes(.app, within: .seconds(20))
                try await it.says("on")
            }
        }

        @Test("A pod that is deleted while one of them is down leaves no bypass", arguments: Part.allCases)
        func deleted(_ part: Part) async throws {
            try await ControllerRig.with { it in
                try await it.start()
                it.server.label("web")
                try await it.becomes(.app)
                try await leave(part, it)
                it.server.delete("web")
                try await comeBack(part, it)
                try await it.becomes(.sidecar, within: .seconds(20))
            }
        }

        static let orders: [[Part]] = [
            [.controller, .daemon, .apiServer], [.controller, .apiServer, .daemon], [.daemon, .controller, .apiServer],
            [.daemon, .apiServer, .controller], [.apiServer, .controller, .daemon], [.apiServer, .daemon, .controller],
        ]

        @Test("They may stop and start in any order: a labelled pod stays bypassed", arguments: orders)
        func order(_ order: [Part]) async throws {
            try await ControllerRig.with { it in
                try await it.start()
                it.server.label("web")
                try await it.becomes(.app)
                try await it.says("on")
                // It comes after the status, and is not sent again.
                try await it.hasEvent("BypassEnabled")
                let witnesses = try await it.sandbox.watching {
                    for part in order { try await leave(part, it) }
                    for part in order { try await comeBack(part, it) }
                    try await eventually("it is ready: \(it.log)", within: .seconds(30)) {
                        try await it.probe("readyz").code == 0
                    }
                }
                #expect(witnesses.sawOnlyTheApp, "\(witnesses)")
                let reasons = it.server.reasons(about: "web").filter { $0 != "BypassPermissiveMTLS" }
                #expect(reasons == ["BypassEnabled"])
                it.server.label("web", nil)
                try await it.becomes(.sidecar, within: .seconds(20))
            }
        }

        @Test("A bypass that expired while one of them was down is not started again", arguments: Part.allCases)
        func expired(_ part: Part) async throws {
            try await ControllerRig.with { it in
                try await it.start()
                it.server.annotate("web", ["kmesh.net/bypass-ttl": "2s"])
                it.server.label("web")
                try await it.becomes(.app)
                try await eventually("the pod remembers") {
                    it.server.annotation("kmesh.net/bypass-status", of: "web")?.hasPrefix("on until ") == true
                }
                try await leave(part, it)
                try await it.becomes(.sidecar)
                try await comeBack(part, it)
                try await eventually("the label is gone: \(it.log)", within: .seconds(20)) {
                    !it.server.hasLabel("web")
                }
                try await it.hasEvent("BypassExpired")
                #expect(try await it.sandbox.paths == .sidecar)
            }
        }

        @Test(
            "A bypass that expires before the pod says that it is on is not started again",
            arguments: [[], [Part.daemon]])
        func expiredUnreported(_ others: [Part]) async throws {
            try await ControllerRig.with { it in
                try await it.start()
                // What the controller knows of the end is lost with it.
                it.server.fail(.statusWithRetry(429, seconds: 300), times: .max) { $0.verb == "PATCH" }
                it.server.annotate("web", ["kmesh.net/bypass-ttl": "2s"])
                it.server.label("web")
                try await it.becomes(.app)
                try await leave(.controller, it)
                // The matcher ends it also while no daemon runs.
                for part in others { try await leave(part, it) }
                try await it.becomes(.sidecar)
                for part in others { try await comeBack(part, it) }
                try await eventually("the end is noticed") { try await it.rig.list().isEmpty }
                #expect(it.server.annotation("kmesh.net/bypass-status", of: "web") == nil)
                // It outlives the daemon, too.
                try await it.restartDaemon()
                let last = try await it.rig.subscribe().sequence
                it.server.endFaults()
                try await comeBack(.controller, it)
                try await eventually("the label is gone: \(it.log)", within: .seconds(20)) {
                    !it.server.hasLabel("web")
                }
                try await it.hasEvent("BypassExpired")
                #expect(try await it.rig.subscribe().sequence == last)
                // A label that is set again starts another bypass, while a controller runs and while none does.
                try await leave(.controller, it)
                it.server.annotate("web", ["kmesh.net/bypass-ttl": "1h"])
                it.server.label("web")
                try await comeBack(.controller, it)
                try await it.becomes(.app, within: .seconds(20))
            }
        }

        @Test("A daemon that stays down is reported on the pod that waits for it")
        func daemonAway() async throws {
            try await ControllerRig.with { it in
                try await it.start()
                try await leave(.daemon, it)
                it.server.label("web")
                try await it.says("failed: no daemon listens on \(it.rig.socket)")
                #expect(try await it.probe("readyz").code == 1)
                #expect(try await it.probe("healthz").code == 0)
                try await comeBack(.daemon, it)
                try await it.becomes(.app, within: .seconds(20))
                try await it.says("on")
            }
        }
    }
}
