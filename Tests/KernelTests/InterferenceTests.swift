import RootTestSupport
import Testbed
import Testing

extension KernelTests {
    /// Somebody else changes the rules while a bypass is on.
    @Suite struct InterferenceTests {
        private static func repairAndEnd(_ rig: Rig) async throws {
            let repaired = try await rig.on()
            #expect(repaired.state == "on" && repaired.effective && repaired.changed == true && repaired.codes == [])
            #expect(try await rig.testbed.ways == .app)
            #expect(try await rig.status().state == "on")
            try await rig.off()
            #expect(try await Residue.scan(rig.testbed.pod) == [])
            #expect(try await rig.testbed.ways == .sidecar)
        }

        @Test func rulesThatAreAppendedChangeNothing() async throws {
            try await Rig.with(Rig.unattended) { rig in
                try await rig.testbed.install(.iptables)
                try await rig.on()
                for tool in ["iptables", "ip6tables"] {
                    try await rig.testbed.iptables("-A OUTPUT -p tcp -j REDIRECT --to-ports 15001", tool: tool)
                    try await rig.testbed.iptables("-A PREROUTING -p tcp -j REDIRECT --to-ports 15006", tool: tool)
                }
                #expect(try await rig.testbed.ways == .app)
                let status = try await rig.status()
                #expect(status.state == "on" && status.effective && status.codes == [])
                #expect(try await rig.on().changed == false)
            }
        }

        @Test func rulesThatAreInsertedAboveOursDoNotWin() async throws {
            try await Rig.with(Rig.unattended) { rig in
                try await rig.testbed.install(.iptables)
                try await rig.on()
                for tool in ["iptables", "ip6tables"] {
                    try await rig.testbed.iptables("-I OUTPUT -p tcp -j REDIRECT --to-ports 15001", tool: tool)
                    try await rig.testbed.iptables("-I PREROUTING -p tcp -j REDIRECT --to-ports 15006", tool: tool)
                }
                #expect(try await rig.testbed.ways == .app)
                let status = try await rig.status()
                #expect(status.state == "degraded" && status.effective)
                #expect(status.codes == Array(repeating: "rule-not-first", count: 4))
                try await Self.repairAndEnd(rig)
            }
        }

        @Test func aTableThatIsFlushedAndFilledAgainDoesNotWin() async throws {
            try await Rig.with(Rig.unattended) { rig in
                try await rig.testbed.install(.iptables)
                try await rig.on()
                let witnesses = try await rig.testbed.watching {
                    try await rig.testbed.install(.iptables, flushing: true)
                }
                #expect(witnesses.sawOnlyTheApp, "\(witnesses)")
                #expect(try await rig.testbed.ways == .app)
                let status = try await rig.status()
                #expect(status.state == "degraded" && status.effective)
                #expect(status.codes == Array(repeating: "rule-missing", count: 4))
                try await Self.repairAndEnd(rig)
            }
        }

        @Test(arguments: [Testbed.Mesh.iptables, .nftables])
        func afterEverythingWasFlushedNothingElseIsClaimed(_ mesh: Testbed.Mesh) async throws {
            try await Rig.with(Rig.unattended) { rig in
                try await rig.testbed.install(mesh)
                try await rig.on()
                try await rig.testbed.run(["nft", "flush", "ruleset"], in: .pod)
                try await rig.testbed.install(mesh)
                #expect(try await rig.testbed.ways == .sidecar)
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
                try await rig.testbed.run(["nft", "flush", "ruleset"], in: .pod)
                try await rig.testbed.install(.iptables)
                let before = try await rig.testbed.rules
                #expect(try await rig.off().state == "off")
                #expect(try await rig.testbed.rules == before)
                #expect(try await rig.testbed.ways == .sidecar)
            }
        }

        @Test func aGuardWithSomethingInFrontIsNoGuard() async throws {
            try await Rig.with(Rig.unattended) { rig in
                try await rig.testbed.install(.nftables)
                try await rig.on()
                try await rig.testbed.run(
                    ["nft", "insert", "rule", "inet", "kmesh_bypass", "output", "tcp", "dport", "8080", "return"],
                    in: .pod)
                #expect(try await rig.testbed.ways == .bypassed("inbound"))
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
                try await rig.testbed.run(["nft", "-f", "-"], in: .pod, input: earlier)
                let on = try await rig.on()
                #expect(try await rig.testbed.ways == .bypassed("inbound"))
                #expect(!on.effective && on.codes == ["earlier-redirect"])
                #expect(on.warnings.first?.message.contains("inet early output") == true)
                let inbound = try await rig.on(direction: "inbound")
                #expect(inbound.effective && inbound.codes == ["no-interception"])
            }
        }
    }
}
