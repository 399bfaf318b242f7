import MeshSandbox
import TestSupport
import Testing

extension KernelTests {
    /// After `off` nothing shows that there was a bypass.
    @Suite struct ResidueTests {
        /// Tables that have nothing to do with a mesh, by all means that there are.
        private static let others = """
            table inet filter {
                set blocked { type ipv4_addr; elements = { 192.0.2.1, 192.0.2.7 }; }
                chain input { type filter hook input priority filter; policy accept; ip saddr @blocked drop; }
                chain output { type filter hook output priority filter; policy accept; counter; }
            }
            table ip raw {
                chain PREROUTING { type filter hook prerouting priority raw; policy accept; }
            }
            table ip6 own {
                chain nat { type nat hook postrouting priority 100; policy accept; masquerade; }
            }
            """

        private static let natOfOthers = """
            *nat
            :MINE - [0:0]
            -A POSTROUTING -s 10.89.0.0/24 -o eth0 -j MASQUERADE
            -A PREROUTING -p tcp -m tcp --dport 4711 -j MINE
            -A MINE -j RETURN
            COMMIT

            """

        private static func check(_ rig: Rig, _ direction: String) async throws {
            let before = try await rig.sandbox.rules
            let ways = try await rig.sandbox.paths
            try await rig.on(direction: direction)
            #expect(try await rig.sandbox.rules != before)
            #expect(try await !Leftovers.scan(rig.sandbox.pod).isEmpty)
            try await rig.off()
            #expect(try await rig.sandbox.rules == before)
            #expect(try await Leftovers.scan(rig.sandbox.pod) == [])
            #expect(try await rig.sandbox.paths == ways)
        }

        @Test(arguments: ["both", "inbound"])
        func anEmptyNamespaceIsEmptyAgain(_ direction: String) async throws {
            try await Rig.with { rig in
                #expect(try await rig.sandbox.rules.isEmpty)
                try await Self.check(rig, direction)
                #expect(try await rig.sandbox.rules.isEmpty)
                // To look for legacy tables must not make them.
                let tables = try await rig.sandbox.run(
                    ["cat", "/proc/net/ip_tables_names", "/proc/net/ip6_tables_names"], in: .pod)
                #expect(tables == "")
            }
        }

        @Test(arguments: MeshSandbox.Mesh.allCases, ["both", "inbound"])
        func aMeshsRulesAreAsTheyWere(_ mesh: MeshSandbox.Mesh, _ direction: String) async throws {
            try await Rig.with { rig in
                try await rig.sandbox.install(mesh)
                try await Self.check(rig, direction)
            }
        }

        @Test(arguments: ["both", "inbound"])
        func theRulesOfOthersAreAsTheyWere(_ direction: String) async throws {
            try await Rig.with { rig in
                try await rig.sandbox.run(["nft", "-f", "-"], in: .pod, input: Self.others)
                try await rig.sandbox.run(["iptables-restore"], in: .pod, input: Self.natOfOthers)
                try await Self.check(rig, direction)
            }
        }

        @Test func whatSomebodyPutIntoATableThatWeMadeStays() async throws {
            try await Rig.with { rig in
                try await rig.on()
                try await rig.sandbox.iptables("-A OUTPUT -d 192.0.2.9/32 -j ACCEPT")
                try await rig.sandbox.iptables("-N MINE", tool: "ip6tables")
                try await rig.off()
                let rules = try await rig.sandbox.listing("OUTPUT")
                #expect(rules == ["-P OUTPUT ACCEPT", "-A OUTPUT -d 192.0.2.9/32 -j ACCEPT"])
                #expect(try await rig.sandbox.listing("MINE", by: "ip6tables") == ["-N MINE"])
                #expect(try await Leftovers.scan(rig.sandbox.pod) == [])
                let ruleset = try await rig.sandbox.ruleset()
                #expect(!ruleset.contains("PREROUTING"), "a chain that we made is left: \(ruleset)")
            }
        }

        /// The next bypass must not think that it made what is another program's by now.
        @Test func whatWasMadeOnceIsNotTakenForOursForever() async throws {
            try await Rig.with { rig in
                try await rig.on()
                try await rig.sandbox.install(.iptables)
                try await rig.off()
                let before = try await rig.sandbox.rules
                #expect(try await rig.sandbox.paths == .sidecar)
                try await Self.check(rig, "both")
                #expect(try await rig.sandbox.rules == before)
            }
        }

        /// A rule that only looks like ours is another program's.
        @Test(arguments: ["before", "while on"])
        func aPlainReturnOfSomebodyElseSurvives(_ moment: String) async throws {
            try await Rig.with { rig in
                try await rig.sandbox.install(.iptables)
                if moment == "before" { try await rig.sandbox.iptables("-I OUTPUT -j RETURN") }
                try await rig.on()
                if moment == "while on" { try await rig.sandbox.iptables("-I OUTPUT 2 -j RETURN") }
                try await rig.on(direction: "inbound")
                try await rig.sandbox.iptables("-C OUTPUT -j RETURN")
                try await rig.off()
                let rules = try await rig.sandbox.listing("OUTPUT").dropFirst()
                #expect(rules == ["-A OUTPUT -j RETURN", "-A OUTPUT -j ISTIO_OUTPUT"])
            }
        }
    }
}
