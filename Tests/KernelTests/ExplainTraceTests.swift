import JSONRPC
import Linux
import MeshSandbox
import SystemPackage
import TestSupport
import Testing

extension KernelTests {
    /// The packets that `explain` has the kernel trace.
    @Suite struct ExplainTraceTests {
        private static let table = "kmesh_bypass_trace"

        @Test(arguments: MeshSandbox.Mesh.allCases)
        func itIsSaidWhatWasTraced(_ mesh: MeshSandbox.Mesh) async throws {
            try await Rig.with { rig in
                try await rig.sandbox.install(mesh)
                for state in ["off", "on"] {
                    if state == "on" { try await rig.on() }
                    for family in MeshSandbox.Family.allCases {
                        // The kernel does not trace the rules of iptables-legacy, nor what comes from outside.
                        let traced = try await rig.explain(.outbound, family)
                        #expect(traced.source == (mesh == .iptablesLegacy ? "rules" : "trace"), "\(state): \(traced)")
                        #expect(try await rig.explain(.inbound, family).source == "rules")
                        // Another user's packets cannot be sent: the rules say the same.
                        let place = family == .ipv4 ? "10.89.0.2:8080" : "[fd89::2]:8080"
                        let other = try await rig.explain(to: place, uid: 1000).probes[0]
                        #expect(other.source == "rules" && other.end == traced.end, "\(state): \(other)")
                        #expect(other.deciding.map(\.chain) == traced.deciding.map(\.chain), "\(other) / \(traced)")
                        #expect(other.deciding.map(\.verdict) == traced.deciding.map(\.verdict), "\(other) / \(traced)")
                    }
                }
            }
        }

        /// Where the rules alone leave it open, the kernel's word decides.
        @Test func theKernelKnowsWhatTheRulesLeaveOpen() async throws {
            try await Rig.with { rig in
                let rule = "iptables-nft -t nat -A OUTPUT -p tcp -m limit --limit 1000/s -j REDIRECT --to-ports 15001"
                try await rig.sandbox.run(rule.split(separator: " ").map(String.init), in: .pod)
                let traced = try await rig.explain(.outbound, .ipv4)
                #expect(traced.source == "trace" && traced.end == "sidecar 15001", "\(traced)")
                #expect(traced.deciding.map(\.verdict) == ["redirect to :15001"], "\(traced)")
                #expect(try await rig.explain(to: "10.89.0.2:8080", uid: 7).probes[0].end == "unknown")
                let drop = "nft add chain ip nat late { type filter hook output priority 10 ; policy drop ; }"
                try await rig.sandbox.run(drop.split(separator: " ").map(String.init), in: .pod)
                let dropped = try await rig.explain(.outbound, .ipv4)
                #expect(dropped.source == "trace" && dropped.end == "dropped", "\(dropped)")
                #expect(dropped.deciding.map(\.verdict) == ["policy drop"], "\(dropped)")
            }
        }

        @Test func nothingLeavesTheNamespaceOrArrivesInIt() async throws {
            try await Rig.with { rig in
                let sandbox = rig.sandbox
                try await sandbox.install(.iptables)
                let counting = """
                    table inet count {
                        chain every { type filter hook HOOK priority -300; meta l4proto { tcp, udp } counter; }
                    }

                    """
                for (place, hook) in [(MeshSandbox.Place.pod, "input"), (.peer, "prerouting")] {
                    let text = counting.split(separator: "HOOK").joined(separator: hook)
                    try await sandbox.run(["nft", "-f", "-"], in: place, input: text)
                }
                for _ in 1...5 {
                    #expect(try await rig.explain().probes.count == 6)
                    #expect(try await rig.explain(.outbound, .ipv4).source == "trace")
                    #expect(try await rig.explain(to: "127.0.0.1:15001").probes[0].source == "trace")
                }
                for place in [MeshSandbox.Place.pod, .peer] {
                    let chain = try await sandbox.run(["nft", "list", "table", "inet", "count"], in: place)
                    #expect(chain.contains("counter packets 0 bytes 0"), "\(chain)")
                    try await sandbox.run(["nft", "delete", "table", "inet", "count"], in: place)
                }
                #expect(try await !sandbox.ruleset().contains(Self.table))
            }
        }

        /// If another program has a table of that name, the rules are evaluated.
        @Test func aTableOfThatNameIsNotTouched() async throws {
            try await Rig.with { rig in
                try await rig.sandbox.install(.iptables)
                try await rig.sandbox.run(["nft", "add", "table", "inet", Self.table], in: .pod)
                let before = try await rig.sandbox.ruleset()
                let probe = try await rig.explain(.outbound, .ipv4)
                #expect(probe.source == "rules" && probe.end == "sidecar 15001", "\(probe)")
                #expect(try await rig.sandbox.ruleset() == before)
                try await rig.sandbox.run(["nft", "delete", "table", "inet", Self.table], in: .pod)
            }
        }

        @Test(arguments: ["connect of a probe", "send: nf_tables batch", "recvmmsg: reading a trace"])
        func aDaemonThatIsKilledMeanwhileLeavesNothing(_ call: String) async throws {
            try await Rig.withoutDaemon(Rig.unattended) { rig in
                let faults = try Faults(in: rig.folder.path)
                try await rig.start(environment: faults.environment)
                try await rig.sandbox.install(.iptables)
                let before = try await rig.sandbox.ruleset()
                faults.plan.arm(.killAfter, at: call)
                await #expect(throws: (any Error).self) { try await rig.explain(.outbound, .ipv4) }
                #expect(try await rig.daemon.exit() == .signal(9) && faults.plan.injected == 1)
                faults.plan.disarm()
                try await eventually("the kernel has removed the table") {
                    try await rig.sandbox.ruleset() == before
                }
                try await rig.start()
            }
        }

        /// Whatever fails of the trace, the rules are there.
        @Test func afterAnErrorTheRulesAreEvaluated() async throws {
            try await Rig.withoutDaemon(Rig.unattended) { rig in
                let faults = try Faults(in: rig.folder.path)
                try await rig.start(environment: faults.environment)
                try await rig.sandbox.install(.iptables)
                for call in [
                    "socket of a probe", "connect of a probe", "setsockopt NETLINK_ADD_MEMBERSHIP",
                    "send: nf_tables batch", "recvmmsg: nf_tables batch", "recvmmsg: reading a trace",
                ] {
                    faults.plan.arm(.fail(.notPermitted), at: call)
                    let probe = try await rig.explain(.outbound, .ipv4)
                    #expect(faults.plan.injected == 1 && probe.source == "rules", "\(call): \(probe)")
                    #expect(probe.end == "sidecar 15001", "\(call): \(probe)")
                    faults.plan.disarm()
                    try await eventually("the socket is closed") {
                        try await !rig.sandbox.ruleset().contains(Self.table)
                    }
                }
            }
        }
    }
}
