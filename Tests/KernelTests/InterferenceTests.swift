import MeshSandbox
import TestSupport
import Testing

extension KernelTests {
    /// Another program changes the rules while a bypass is on.
    @Suite struct InterferenceTests {
        private static func repairAndEnd(_ rig: Rig) async throws {
            let repaired = try await rig.on()
            #expect(repaired.state == "on" && repaired.effective && repaired.changed == true && repaired.codes == [])
            #expect(try await rig.sandbox.paths == .app)
            #expect(try await rig.status().state == "on")
            try await rig.off()
            #expect(try await Leftovers.scan(rig.sandbox.pod) == [])
            #expect(try await rig.sandbox.paths == .sidecar)
        }

        @Test func rulesThatAreAppendedChangeNothing() async throws {
            try await Rig.with(Rig.unattended) { rig in
                try await rig.sandbox.install(.iptables)
                try await rig.on()
                for tool in ["iptables", "ip6tables"] {
                    try await rig.sandbox.iptables("-A OUTPUT -p tcp -j REDIRECT --to-ports 15001", tool: tool)
                    try await rig.sandbox.iptables("-A PREROUTING -p tcp -j REDIRECT --to-ports 15006", tool: tool)
                }
                #expect(try await rig.sandbox.paths == .app)
                let status = try await rig.status()
                #expect(status.state == "on" && status.effective && status.codes == [])
                #expect(try await rig.on().changed == false)
            }
        }

        @Test func rulesThatAreInsertedAboveOursDoNotWin() async throws {
            try await Rig.with(Rig.unattended) { rig in
                try await rig.sandbox.install(.iptables)
                try await rig.on()
                for tool in ["iptables", "ip6tables"] {
                    try await rig.sandbox.iptables("-I OUTPUT -p tcp -j REDIRECT --to-ports 15001", tool: tool)
                    try await rig.sandbox.iptables("-I PREROUTING -p tcp -j REDIRECT --to-ports 15006", tool: tool)
                }
                #expect(try await rig.sandbox.paths == .app)
                let status = try await rig.status()
                #expect(status.state == "degraded" && status.effective)
                #expect(status.codes == Array(repeating: "rule-not-first", count: 4))
                try await Self.repairAndEnd(rig)
            }
        }

        @Test func aTableThatIsFlushedAndFilledAgainDoesNotWin() async throws {
            try await Rig.with(Rig.unattended) { rig in
                try await rig.sandbox.install(.iptables)
                try await rig.on()
                let witnesses = try await rig.sandbox.watching {
                    try await rig.sandbox.install(.iptables, flushing: true)
                }
                #expect(witnesses.sawOnlyTheApp, "\(witnesses)")
                #expect(try await rig.sandbox.paths == .app)
                let status = try await rig.status()
                #expect(status.state == "degraded" && status.effective)
                #expect(status.codes == Array(repeating: "rule-missing", count: 4))
                try await Self.repairAndEnd(rig)
            }
        }

        @Test(arguments: [MeshSandbox.Mesh.iptables, .nftables])
        func afterEverythingWasFlushedNothingElseIsClaimed(_ mesh: MeshSandbox.Mesh) async throws {
            try await Rig.with(Rig.unattended) { rig in
                try await rig.sandbox.install(mesh)
                try await rig.on()
                try await rig.sandbox.run(["nft", "flush", "ruleset"], in: .pod)
                try await rig.sandbox.install(mesh)
                #expect(try await rig.sandbox.paths == .sidecar)
                let status = try await rig.status()
                #expect(status.state == "degraded" && !status.effective)
                #expect(status.codes.contains("rule-missing") && status.codes.contains("guard-missing"))
                try await Self.repairAndEnd(rig)
            }
        }

        /// The tables that we made are gone with the flush; those that are there now are the mesh's.
        @Test func offAfterAFlushLeavesTheTablesOfTheMesh() async throws {
            try await Rig.with(Rig.unattended) { rig in
                try await rig.on()
                try await rig.sandbox.run(["nft", "flush", "ruleset"], in: .pod)
                try await rig.sandbox.install(.iptables)
                let before = try await rig.sandbox.rules
                #expect(try await rig.off().state == "off")
                #expect(try await rig.sandbox.rules == before)
                #expect(try await rig.sandbox.paths == .sidecar)
            }
        }

        @Test func aGuardWithSomethingInFrontIsNoGuard() async throws {
            try await Rig.with(Rig.unattended) { rig in
                try await rig.sandbox.install(.nftables)
                try await rig.on()
                try await rig.sandbox.run(
                    ["nft", "insert", "rule", "inet", "kmesh_bypass", "output", "tcp", "dport", "8080", "return"],
                    in: .pod)
                #expect(try await rig.sandbox.paths == .bypassed("inbound"))
                let status = try await rig.status()
                #expect(status.state == "degraded" && !status.effective && status.codes.contains("guard-missing"))
                try await Self.repairAndEnd(rig)
            }
        }

        /// A redirect that is asked before the guard wins, and is named.
        @Test func anEarlierRedirectIsNotCalledBeaten() async throws {
            try await Rig.with(Rig.unattended) { rig in
                let earlier = """
                    table inet early {
                        chain output { type nat hook output priority -150; tcp dport 8080 redirect to :15001; }
                    }
                    """
                try await rig.sandbox.run(["nft", "-f", "-"], in: .pod, input: earlier)
                let on = try await rig.on()
                #expect(try await rig.sandbox.paths == .bypassed("inbound"))
                #expect(!on.effective && on.codes == ["earlier-redirect"])
                #expect(on.warnings.first?.message.contains("inet early output") == true)
                let inbound = try await rig.on(direction: "inbound")
                #expect(inbound.effective && inbound.codes == ["no-interception"])
            }
        }
    }
}
