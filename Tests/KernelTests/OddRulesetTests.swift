import JSONRPC
import MeshSandbox
import TestSupport
import Testing

extension KernelTests {
    /// Whatever a namespace holds: the daemon lives, says what is, and leaves it as it was.
    @Suite struct OddRulesetTests {
        /// Nothing flows here, so that no counter changes but ours.
        private static func check(_ rig: Rig, _ netns: String) async throws {
            let daemon = try rig.daemon
            let before = try await rig.sandbox.everything(in: netns)
            for direction in ["both", "inbound"] {
                let on = try await rig.on(netns, direction: direction)
                #expect(on.state == "on", "\(on)")
                #expect(try await rig.status(netns).state == "on")
                #expect(try await rig.on(netns, direction: direction).changed == false)
                #expect(try await rig.off(netns).state == "off")
                let after = try await rig.sandbox.everything(in: netns)
                for (tool, lines) in before { #expect(after[tool] == lines, "\(tool)") }
            }
            #expect(try rig.daemon.pid == daemon.pid)
        }

        @Test func everythingAtOnceIsAsItWas() async throws {
            try await Rig.with { rig in
                try await rig.sandbox.withNamespace { netns in
                    try await rig.sandbox.inside(netns, ["nft", "-f", "-"], input: OddRulesets.everything)
                    _ = try? await rig.sandbox.inside(netns, ["nft", "-f", "-"], input: OddRulesets.flowTable)
                    for tool in ["iptables", "ip6tables", "iptables-legacy", "ip6tables-legacy"] {
                        try await rig.sandbox.inside(netns, [tool + "-restore"], input: OddRulesets.iptables)
                    }
                    var redirects = ""
                    for name in RawRuleset.names { redirects += RawRuleset.redirect(name, priority: -90) }
                    try await rig.sandbox.netlink(redirects, in: netns)
                    try await Self.check(rig, netns)
                }
            }
        }

        @Test(arguments: RawRuleset.names)
        func aRedirectIsSeenWhateverItsTableIsCalled(_ name: String) async throws {
            try await Rig.with { rig in
                try await rig.sandbox.withNamespace { netns in
                    try await rig.sandbox.netlink(RawRuleset.redirect(name, priority: -150), in: netns)
                    let on = try await rig.on(netns)
                    #expect(on.codes == ["earlier-redirect"] && !on.effective, "\(on)")
                    try await rig.off(netns)
                    try await Self.check(rig, netns)
                }
            }
        }

        /// Chains in iptables' place that are not what iptables has there.
        private static let strangers = [
            "chain OUTPUT { type filter hook output priority 5; policy accept; tcp dport 9 drop; }",
            "chain OUTPUT { type nat hook postrouting priority 5; policy accept; tcp dport 9 masquerade; }",
            "chain OUTPUT { type route hook output priority 5; policy accept; meta mark set 7; }",
            "chain OUTPUT { tcp dport 9 drop; }",
        ]

        @Test(arguments: strangers)
        func aChainThatIsNotIptablesIsNotTouched(_ chain: String) async throws {
            try await Rig.with { rig in
                try await rig.sandbox.install(.nftables)
                let tables = "table ip nat {\n\(chain)\n}\ntable ip6 nat {\n\(chain)\n}\n"
                try await rig.sandbox.run(["nft", "-f", "-"], in: .pod, input: tables)
                let before = try await rig.sandbox.rules
                let list = ["nft", "--handle", "list", "chain", "ip", "nat", "OUTPUT"]
                let theirs = try await rig.sandbox.run(list, in: .pod)
                let on = try await rig.on()
                #expect(on.state == "on" && on.effective && on.codes == [], "\(on)")
                #expect(try await rig.sandbox.run(list, in: .pod) == theirs)
                #expect(try await rig.sandbox.paths == .app)
                #expect(try await rig.status().state == "on")
                #expect(try await rig.on().changed == false)
                try await rig.off()
                #expect(try await rig.sandbox.rules == before)
                #expect(try await rig.sandbox.paths == .sidecar)
            }
        }

        /// Nat is nat, whenever it is asked.
        @Test func iptablesChainAtAnotherPriorityIsUsed() async throws {
            try await Rig.with { rig in
                let redirect = "tcp dport 8080 redirect to :15001;"
                try await rig.sandbox.run(
                    ["nft", "-f", "-"], in: .pod,
                    input: "table ip nat { chain OUTPUT { type nat hook output priority -150; \(redirect) }\n}\n")
                let before = try await rig.sandbox.rules
                let on = try await rig.on(direction: "outbound")
                #expect(on.state == "on" && on.effective && on.codes == [], "\(on)")
                #expect(try await rig.sandbox.paths == .app)
                try await rig.off()
                #expect(try await rig.sandbox.rules == before)
            }
        }

        @Test func whatSomebodyPutIntoTheGuardsTableStays() async throws {
            try await Rig.with { rig in
                try await rig.sandbox.install(.nftables)
                try await rig.on()
                let foreign = ["nft", "add", "chain", "inet", "kmesh_bypass", "foreign"]
                try await rig.sandbox.run(foreign, in: .pod)
                #expect(try await rig.on(direction: "inbound").state == "on")
                #expect(try await rig.sandbox.paths == .bypassed("inbound"))
                try await rig.off()
                rig.skipLeftoverCheck()  // The table, with what is another program's.
                let left = try await rig.sandbox.run(["nft", "list", "table", "inet", "kmesh_bypass"], in: .pod)
                #expect(left == "table inet kmesh_bypass {\n\tchain foreign {\n\t}\n}\n")
                #expect(try await rig.sandbox.paths == .sidecar)
            }
        }

        @Test func aGuardThatSleepsGuardsNothing() async throws {
            try await Rig.with(Rig.unattended) { rig in
                try await rig.sandbox.install(.nftables)
                try await rig.on()
                let sleep = "add table inet kmesh_bypass { flags dormant; }\n"
                try await rig.sandbox.run(["nft", "-f", "-"], in: .pod, input: sleep)
                #expect(try await rig.sandbox.paths == .sidecar)
                let status = try await rig.status()
                #expect(status.state == "degraded" && !status.effective, "\(status)")
                let on = try await rig.on()
                #expect(on.state == "on" && on.effective, "\(on)")
                #expect(try await rig.sandbox.paths == .app)
            }
        }

        @Test func aMeshThatSleepsTakesNothing() async throws {
            try await Rig.with { rig in
                let table = """
                    table inet early {
                        flags dormant
                        chain output { type nat hook output priority -150; tcp dport 8080 redirect to :15001; }
                    }
                    """
                try await rig.sandbox.run(["nft", "-f", "-"], in: .pod, input: table)
                #expect(try await rig.sandbox.paths == .app)
                #expect(try await rig.on().codes == ["no-interception"])
            }
        }

        /// At a rule that is larger than a message may be, the kernel ends a listing without a word.
        @Test func aRuleTooLargeToBeListedHidesNoneOfOurs() async throws {
            try await Rig.with { rig in
                try await rig.sandbox.install(.iptables)
                let matches = Array(repeating: "-m u32 --u32 0=1", count: 20).joined(separator: " ")
                for tool in ["iptables", "ip6tables"] {
                    try await rig.sandbox.iptables("-A PREROUTING \(matches) -j RETURN", tool: tool)
                }
                let on = try await rig.on()
                #expect(on.state == "on" && on.effective && on.codes == [], "\(on)")
                #expect(try await rig.sandbox.paths == .app)
                // What is known of the ruleset is not enough any more: it has to be read.
                try await rig.sandbox.run(["nft", "add", "table", "ip", "other"], in: .pod)
                #expect(try await rig.status().codes == [])
                #expect(try await rig.on().changed == false)
                try await rig.sandbox.run(["nft", "delete", "table", "ip", "other"], in: .pod)
                try await rig.off()
                for tool in ["iptables", "ip6tables"] {
                    try await rig.sandbox.iptables("-F PREROUTING", tool: tool)
                }
                #expect(try await Leftovers.scan(rig.sandbox.pod) == [])
            }
        }

        @Test func whereTheNatTableBelongsToAProcessTheGuardIsEnough() async throws {
            try await Rig.with { rig in
                try await rig.sandbox.install(.nftables)
                try await rig.sandbox.owning("table(2, b'nat', 2)", in: rig.sandbox.pod) {
                    let before = try await rig.sandbox.rules
                    let on = try await rig.on()
                    #expect(on.state == "on" && on.effective && on.codes == [], "\(on)")
                    #expect(try await rig.sandbox.paths == .app)
                    try await rig.off()
                    #expect(try await rig.sandbox.rules == before)
                }
            }
        }

        @Test func whereTheGuardsTableBelongsToAProcessNothingIsDone() async throws {
            try await Rig.with { rig in
                try await rig.sandbox.owning("table(1, b'kmesh_bypass', 2)", in: rig.sandbox.pod) {
                    let before = try await rig.sandbox.rules
                    await #expect(throws: ErrorObject.self) { try await rig.on() }
                    do {
                        try await rig.on()
                    } catch let error as ErrorObject {
                        #expect(error.message.contains("belongs to another process"), "\(error)")
                    }
                    #expect(try await rig.sandbox.rules == before)
                }
            }
        }
    }
}
