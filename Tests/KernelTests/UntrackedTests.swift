import MeshSandbox
import TestSupport
import Testing

extension KernelTests {
    /// What conntrack does not see, the mask is not for.
    @Suite struct UntrackedTests {
        private static let tools = [
            ("iptables-nft", MeshSandbox.Mesh.iptables), ("iptables-legacy", .iptablesLegacy), ("nft", .nftables),
        ]

        private func change(_ rig: Rig, _ tool: String, _ transport: String, isAdded: Bool) async throws {
            guard tool == "nft" else {
                let rule = "-t raw \(isAdded ? "-A" : "-D") PREROUTING -p \(transport) -j CT --notrack"
                try await rig.sandbox.run([tool] + rule.split(separator: " ").map(String.init), in: .pod)
                return
            }
            let commands = """
                table ip untracking {
                    chain jumped { meta l4proto \(transport) notrack; }
                    chain before { type filter hook prerouting priority -300; iifname != "lo" jump jumped; }
                }
                """
            try await rig.sandbox.run(
                isAdded ? ["nft", "-f", "-"] : ["nft", "delete", "table", "ip", "untracking"], in: .pod,
                input: isAdded ? commands : "")
        }

        @Test(arguments: tools)
        func whatStaysInTheMeshIsReported(_ tool: String, _ mesh: MeshSandbox.Mesh) async throws {
            try await Rig.with { rig in
                let sandbox = rig.sandbox
                try await sandbox.install(mesh)
                try await sandbox.installTPROXY(mesh)
                // What TPROXY does not take does not matter.
                try await change(rig, tool, "udp", isAdded: true)
                #expect(try await rig.on().effective)
                try await change(rig, tool, "udp", isAdded: false)
                try await rig.off()

                try await change(rig, tool, "tcp", isAdded: true)
                for direction in ["both", "inbound"] {
                    let on = try await rig.on(direction: direction)
                    #expect(on.state == "on" && !on.effective && on.codes == ["tproxy"], "\(on.warnings)")
                    let message = on.warnings.first?.message ?? ""
                    #expect(message.contains("rule 1 ") && message.contains("notrack"), "\(message)")
                    let chain = tool == "nft" ? "ip untracking jumped" : "ip raw PREROUTING"
                    #expect(message.contains(chain), "\(message)")
                    // Without a bypass of outbound connections, the mesh redirects what the sidecar answers, too.
                    let answer = try await sandbox.whoAnswers(.inbound, .ipv4)
                    #expect(direction == "both" ? answer == .sidecar : answer != .app)
                    #expect(try await sandbox.whoAnswers(.inbound, .ipv6) == .app)
                    #expect(try await !rig.status().effective)
                }
                #expect(try await rig.on(direction: "outbound").effective)
                try await rig.on()
                try await change(rig, tool, "tcp", isAdded: false)
                #expect(try await sandbox.paths == .app)
                let status = try await rig.status()
                #expect(status.effective && status.codes == [])
            }
        }
    }
}
