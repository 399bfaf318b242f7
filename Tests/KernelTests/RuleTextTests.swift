import MeshSandbox
import TestSupport
import Testing

extension KernelTests {
    /// What a person finds with iptables, and can do about it by hand.
    @Suite struct RuleTextTests {
        private static let tools = ["iptables", "ip6tables"]
        private static let chains = ["PREROUTING", "OUTPUT"]
        private static let chainsByDirection = [
            "both": chains, "outbound": ["OUTPUT"], "inbound": ["PREROUTING"],
        ]

        /// For inbound connections alone, those to the pod's own addresses: others are forwarded.
        private static func words(_ rig: Rig, _ chain: String, _ direction: String = "both") -> String {
            let condition = direction == "inbound" ? "-m addrtype --dst-type LOCAL " : ""
            return "\(chain) \(condition)-m bpf --object-pinned \(rig.pin) -j RETURN"
        }

        @Test(arguments: [nil, MeshSandbox.Mesh.iptables])
        func theRuleIsListedWordForWordAndFirst(_ mesh: MeshSandbox.Mesh?) async throws {
            try await Rig.with { rig in
                if let mesh { try await rig.sandbox.install(mesh) }
                for (direction, expected) in Self.chainsByDirection {
                    var before: [String: [String]] = [:]
                    for tool in Self.tools {
                        for chain in Self.chains {
                            before[tool + chain] = try await rig.sandbox.listing(chain, by: tool)
                        }
                    }
                    try await rig.on(direction: direction)
                    for tool in Self.tools {
                        for chain in Self.chains {
                            var lines = before[tool + chain] ?? []
                            // The policy's line comes first.
                            if expected.contains(chain) {
                                lines.insert("-A " + Self.words(rig, chain, direction), at: 1)
                            }
                            #expect(try await rig.sandbox.listing(chain, by: tool) == lines, "\(tool) \(direction)")
                        }
                    }
                    try await rig.off()
                }
            }
        }

        @Test(arguments: chainsByDirection.keys.sorted())
        func theRuleIsFoundByItsOwnWords(_ direction: String) async throws {
            try await Rig.with { rig in
                try await rig.sandbox.install(.iptables)
                try await rig.on(direction: direction)
                for tool in Self.tools {
                    for chain in Self.chainsByDirection[direction] ?? [] {
                        try await rig.sandbox.iptables("-C " + Self.words(rig, chain, direction), tool: tool)
                        // What iptables-save prints, iptables-restore takes.
                        let saved = try await rig.sandbox.run([tool + "-save", "-t", "nat"], in: .pod)
                        try await rig.sandbox.run([tool + "-restore", "--test"], in: .pod, input: saved)
                    }
                }
            }
        }

        @Test func aPersonCanTakeARuleOutAndTheBypassStillHolds() async throws {
            try await Rig.with(Rig.unattended) { rig in
                try await rig.sandbox.install(.iptables)
                try await rig.on()
                try await rig.sandbox.iptables("-D " + Self.words(rig, "OUTPUT"))
                try await rig.sandbox.iptables("-D " + Self.words(rig, "PREROUTING"), tool: "ip6tables")
                await #expect(throws: CommandFailure.self) {
                    try await rig.sandbox.iptables("-C " + Self.words(rig, "OUTPUT"))
                }

                let status = try await rig.status()
                #expect(status.state == "degraded" && status.effective)
                #expect(status.codes == ["rule-missing", "rule-missing"])
                let messages = status.warnings.map(\.message).joined(separator: "\n")
                #expect(messages.contains("ip nat OUTPUT") && messages.contains("ip6 nat PREROUTING"))
                #expect(try await rig.sandbox.paths == .app)
                #expect(try await rig.list().map(\.state) == ["degraded"])

                let repaired = try await rig.on()
                #expect(repaired.state == "on" && repaired.changed == true && repaired.codes == [])
                #expect(try await rig.sandbox.listing("OUTPUT")[1] == "-A " + Self.words(rig, "OUTPUT"))
            }
        }

        @Test(arguments: [nil, MeshSandbox.Mesh.iptables])
        func offCopesWithRulesThatAPersonHasTakenOut(_ mesh: MeshSandbox.Mesh?) async throws {
            try await Rig.with(Rig.unattended) { rig in
                if let mesh { try await rig.sandbox.install(mesh) }
                let before = try await rig.sandbox.rules
                try await rig.on()
                try await rig.sandbox.iptables("-D " + Self.words(rig, "OUTPUT"))
                try await rig.sandbox.run(["nft", "delete", "table", "inet", "kmesh_bypass"], in: .pod)
                #expect(try await rig.status().state == "degraded")
                #expect(try await rig.off().state == "off")
                #expect(try await rig.sandbox.rules == before)
                #expect(try await rig.sandbox.paths == (mesh == nil ? .app : .sidecar))
            }
        }
    }
}
