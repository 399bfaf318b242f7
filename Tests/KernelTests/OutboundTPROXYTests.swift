import MeshSandbox
import TestSupport
import Testing

extension KernelTests {
    /// Outbound connections that are marked, routed to `lo`, and taken there by TPROXY. Their direction is what they are, not
    /// the hook of the rule that takes them.
    @Suite struct OutboundTPROXYTests {
        @Test(arguments: MeshSandbox.Mesh.redirecting)
        func itIsReportedAsOutboundAndNotAsInbound(_ mesh: MeshSandbox.Mesh) async throws {
            try await Rig.with { rig in
                try await rig.sandbox.installOutboundTPROXY(mesh)
                let before = try await rig.sandbox.rules
                let paths = Paths(inbound: .app, outbound: .sidecar)
                #expect(try await rig.sandbox.paths == paths)
                for direction in ["both", "outbound"] {
                    let on = try await rig.on(direction: direction)
                    #expect(on.state == "on" && on.effect == "none", "\(direction): \(on.warnings)")
                    #expect(Set(on.codes) == ["tproxy"], "\(on.warnings)")
                    #expect(on.warnings.allSatisfy { $0.message.contains("outbound") })
                    #expect(try await rig.sandbox.paths == paths)
                    #expect(try await rig.status().effect == "none")
                }
                let inbound = try await rig.on(direction: "inbound")
                #expect(inbound.effect == "nothing-to-bypass" && inbound.codes == ["no-interception"])
                #expect(try await rig.sandbox.paths == paths)
                try await rig.off()
                #expect(try await rig.sandbox.rules == before)
            }
        }

        /// One TPROXY for both: inbound is bypassed, outbound is not.
        @Test(arguments: MeshSandbox.Mesh.redirecting)
        func eachDirectionIsJudgedByItself(_ mesh: MeshSandbox.Mesh) async throws {
            try await Rig.with { rig in
                try await rig.sandbox.installTPROXY(mesh)
                try await rig.sandbox.installOutboundTPROXY(mesh)
                #expect(try await rig.sandbox.paths == .sidecar)
                let inbound = try await rig.on(direction: "inbound")
                #expect(inbound.effect == "all" && inbound.codes == [], "\(inbound.warnings)")
                #expect(try await rig.sandbox.paths == .bypassed("inbound"))
                let both = try await rig.on()
                #expect(both.effect == "some" && Set(both.codes) == ["tproxy"], "\(both.warnings)")
                #expect(try await rig.sandbox.paths == .bypassed("inbound"))
            }
        }

        /// Istio marks the packets of connections that the sidecar has begun with their client's address: none that is new.
        @Test(arguments: [MeshSandbox.Mesh.iptables, .iptablesLegacy])
        func aMarkThatIsRestoredTakesNoNewConnection(_ mesh: MeshSandbox.Mesh) async throws {
            try await Rig.with { rig in
                try await rig.sandbox.install(.tproxy)
                for tool in mesh.tools {
                    for rule in [
                        "-A PREROUTING -p tcp -m mark --mark 0x539 -j CONNMARK --save-mark",
                        "-A OUTPUT -p tcp -m connmark --mark 0x539 -j CONNMARK --restore-mark",
                    ] {
                        let words = [tool, "-t", "mangle"] + rule.split(separator: " ").map(String.init)
                        try await rig.sandbox.run(words, in: .pod)
                    }
                }
                let on = try await rig.on()
                #expect(on.effect == "all" && on.codes == [], "\(on.warnings)")
                #expect(try await rig.sandbox.paths == .app)
            }
        }
    }
}
