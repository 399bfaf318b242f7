import ControllerTestSupport
import MeshSandbox
import StrictJSON
import TestSupport
import Testing

extension ControllerTests {
    /// The effect of the label and the annotations.
    @Suite struct LabelTests {
        @Test(
            "The label takes the sidecar out of the pod's traffic, and its removal puts it back",
            arguments: PodGroup.Driver.allCases, PodGroup.Version.allCases)
        func label(_ driver: PodGroup.Driver, _ version: PodGroup.Version) async throws {
            try await ControllerRig.with(driver, version) { it in
                try await it.start()
                #expect(try await it.sandbox.paths == .sidecar)
                for _ in 0..<3 {
                    it.server.label("web")
                    try await it.becomes(.app)
                    try await it.says("on")
                    #expect(try await it.rig.list().map(\.owner) == [it.owner])
                    it.server.label("web", nil)
                    try await it.becomes(.sidecar)
                    try await it.says(nil)
                    #expect(try await it.rig.list().isEmpty)
                }
                try await it.hasEvent("BypassEnabled")
                try await it.hasEvent("BypassDisabled")
            }
        }

        @Test("Annotations set direction and reason, and may change while the bypass is on")
        func options() async throws {
            try await ControllerRig.with { it in
                try await it.start()
                it.server.annotate(
                    "web", ["kmesh.net/bypass-direction": "inbound", "kmesh.net/bypass-reason": "INC-4711"])
                it.server.label("web")
                try await it.becomes(.bypassed("inbound"))
                let bypass = try #require(try await it.rig.list().first)
                #expect(bypass.owner == it.owner && bypass.reason == "INC-4711" && bypass.direction == "inbound")
                let witnesses = try await it.sandbox.watching([.inbound]) {
                    it.server.annotate("web", ["kmesh.net/bypass-direction": "both"])
                    try await it.becomes(.app)
                }
                #expect(witnesses.sawOnlyTheApp, "\(witnesses)")
                it.server.annotate("web", ["kmesh.net/bypass-direction": "outbound"])
                try await it.becomes(.bypassed("outbound"))
            }
        }

        @Test("An invalid annotation is reported and leaves the pod as it is: in the mesh, or bypassed")
        func malformed() async throws {
            try await ControllerRig.with { it in
                try await it.start()
                it.server.annotate("web", ["kmesh.net/bypass-ttl": "soon"])
                it.server.label("web")
                let words = #"annotation kmesh.net/bypass-ttl is "soon": "#
                let hint = "give seconds, or whole numbers with d, h, m or s, the largest first, such as 15m or 1h30m"
                try await it.says("refused: \(words)\(hint)")
                try await it.hasEvent("BypassFailed")
                #expect(try await it.sandbox.paths == .sidecar)
                it.server.annotate("web", ["kmesh.net/bypass-ttl": "1h"])
                try await it.becomes(.app)
                it.server.annotate("web", ["kmesh.net/bypass-direction": "up"])
                try await eventually("it is reported: \(it.log)") {
                    it.server.annotation("kmesh.net/bypass-status", of: "web")?
                        .contains("unchanged: annotation kmesh.net/bypass-direction") == true
                }
                #expect(try await it.sandbox.paths == .app)
            }
        }

        @Test("Annotations limit the bypass to some connections, change them while it is on, and reset open ones")
        func scope() async throws {
            try await ControllerRig.with { it in
                try await it.start()
                // The peer's app listens on 8080: first another port, then that one.
                it.server.annotate("web", ["kmesh.net/bypass-ports": "9000-9100, 7777"])
                it.server.label("web")
                try await it.says("on")
                #expect(try await it.sandbox.paths == .sidecar)
                it.server.annotate("web", ["kmesh.net/bypass-ports": "8080"])
                try await it.becomes(.app)
                try await eventually("its Event says so: \(it.server.events(about: "web"))") {
                    it.server.events(about: "web").contains {
                        $0["message"]?.string?.contains("(only ports 7777, 9000-9100) bypass") == true
                    }
                }
                // A wrong one is reported, and the bypass stays as it is.
                it.server.annotate("web", ["kmesh.net/bypass-networks": "10.89.0.1/8"])
                try await eventually("it is refused: \(it.log)") {
                    it.server.annotation("kmesh.net/bypass-status", of: "web")?
                        .hasPrefix(#"on, unchanged: annotation kmesh.net/bypass-networks: "10.89.0.1/8" has host bits"#)
                        == true
                }
                try await it.hasEvent("BypassFailed")
                #expect(try await it.sandbox.paths == .app)
                it.server.annotate("web", ["kmesh.net/bypass-networks": "192.0.2.0/24"])
                try await it.becomes(.sidecar)
                it.server.annotate("web", ["kmesh.net/bypass-networks": .null, "kmesh.net/bypass-ports": .null])
                try await it.becomes(.app)
                try await it.says("on")
            }
        }

        @Test("Open connections stay as they are, unless the annotation says that they are ended")
        func openConnections() async throws {
            try await ControllerRig.with { it in
                try await it.start()
                let old = try await it.sandbox.connect(.inbound, .ipv4)
                it.server.label("web")
                try await it.becomes(.app)
                #expect(try await old.ask() == .sidecar)
                // On a live bypass, too.
                it.server.annotate("web", ["kmesh.net/bypass-connections": "reset"])
                try await eventually("it is ended: \(it.log)") { try await old.ask() != .sidecar }
                let new = try await it.sandbox.connect(.inbound, .ipv4)
                #expect(try await new.ask() == .app)
                it.server.label("web", nil)
                try await it.becomes(.sidecar)
                try await eventually("it is ended: \(it.log)") { try await new.ask() != .app }
                old.close()
                new.close()
            }
        }

        @Test("When the bypass expires, the sidecar is back and the label is removed")
        func time() async throws {
            try await ControllerRig.with { it in
                try await it.start()
                it.server.annotate("web", ["kmesh.net/bypass-ttl": "2s"])
                it.server.label("web")
                try await it.becomes(.app)
                try await eventually("the annotation says until when") {
                    it.server.annotation("kmesh.net/bypass-status", of: "web")?.hasPrefix("on until 20") == true
                }
                try await it.becomes(.sidecar)
                try await eventually("the label is gone: \(it.log)") { !it.server.hasLabel("web") }
                #expect(it.server.annotation("kmesh.net/bypass-status", of: "web")?.hasPrefix("expired 20") == true)
                try await it.hasEvent("BypassExpired")
                // The label set again starts another bypass.
                it.server.label("web")
                try await it.becomes(.app)
                #expect(!it.server.reasons(about: "web").contains("BypassDisabled"))
            }
        }

        @Test("Another TTL, or none, by a change of the annotation")
        func otherTime() async throws {
            try await ControllerRig.with { it in
                try await it.start()
                it.server.annotate("web", ["kmesh.net/bypass-ttl": "3s"])
                it.server.label("web")
                try await it.becomes(.app)
                it.server.annotate("web", ["kmesh.net/bypass-ttl": .null])
                try await it.says("on")
                let bypass = try #require(try await it.rig.list().first)
                #expect(bypass.expiresAt == nil && it.server.hasLabel("web"))
            }
        }
    }
}
