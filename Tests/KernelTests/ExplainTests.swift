import MeshSandbox
import StrictJSON
import TestSupport
import Testing

extension KernelTests {
    /// What `explain` says of a connection, and where it really goes.
    @Suite struct ExplainTests {
        /// Each way in each family: the explanation's end is where a probe ends.
        private static func compare(_ rig: Rig, _ when: String) async throws {
            for direction in MeshSandbox.Direction.allCases {
                for family in MeshSandbox.Family.allCases {
                    let probe = try await rig.explain(direction, family)
                    let sidecar = direction == .inbound ? "sidecar 15006" : "sidecar 15001"
                    let answer = try await rig.sandbox.whoAnswers(direction, family)
                    let expected = answer == .app ? "application 8080" : answer == .sidecar ? sidecar : "\(answer)"
                    #expect(probe.end == expected, "\(when), \(direction) \(family): \(probe)")
                    #expect(probe.direction == direction.rawValue && probe.family == (family == .ipv4 ? "ip" : "ip6"))
                    #expect(!probe.deciding.isEmpty || answer == .app, "\(when), \(direction) \(family): \(probe)")
                }
            }
        }

        @Test(arguments: MeshSandbox.Mesh.allCases)
        func theEndIsWhereAConnectionEnds(_ mesh: MeshSandbox.Mesh) async throws {
            try await Rig.with { rig in
                try await Self.compare(rig, "without a mesh")
                try await rig.sandbox.install(mesh)
                let before = try await Rules(of: rig.sandbox)
                try await Self.compare(rig, "off")
                #expect(try await Rules(of: rig.sandbox) == before)
                for direction in ["both", "inbound", "outbound"] {
                    #expect(try await rig.on(direction: direction).effective)
                    let ruleset = try await rig.sandbox.ruleset()
                    try await Self.compare(rig, direction)
                    #expect(try await rig.sandbox.ruleset() == ruleset)
                }
                try await rig.off()
                try await Self.compare(rig, "off again")
            }
        }

        @Test(
            arguments: [
                ["only": ["ports": [8080]]], ["only": ["ports": ["1-8079"]]], ["except": ["ports": [8080]]],
                ["only": ["networks": ["10.89.0.2/32"]]], ["except": ["networks": ["10.89.0.0/24"]]],
                ["only": ["networks": ["fd89::2/128"], "ports": [8080]]],
            ] as [JSONValue])
        func aScopeIsFollowed(_ scope: JSONValue) async throws {
            try await Rig.with { rig in
                try await rig.sandbox.install(.iptables)
                let request: JSONValue = ["netns": .string(rig.sandbox.pod), "state": "on"]
                let members = (request.object?.members ?? []) + (scope.object?.members ?? [])
                _ = try await rig.call("bypass", .object(JSONObject(uniqueMembers: members.map { ($0.key, $0.value) })))
                try await Self.compare(rig, "\(scope)")
            }
        }

        @Test(arguments: MeshSandbox.Mesh.redirecting)
        func inboundTPROXYIsFollowed(_ mesh: MeshSandbox.Mesh) async throws {
            try await Rig.with { rig in
                try await rig.sandbox.install(mesh)
                try await rig.sandbox.installTPROXY(mesh)
                try await Self.compare(rig, "off")
                #expect(try await rig.explain(.inbound, .ipv4).deciding.map(\.verdict) == ["tproxy to :15006"])
                try await rig.on()
                try await Self.compare(rig, "on")
                let deciding = try await rig.explain(.inbound, .ipv6).deciding
                #expect(deciding.first.map { "\($0.table) \($0.chain)" } == "kmesh_bypass mask", "\(deciding)")
            }
        }

        @Test func theDecidingRuleIsNamed() async throws {
            try await Rig.with { rig in
                try await rig.sandbox.install(.iptables)
                let off = try await rig.explain(.outbound, .ipv4)
                #expect(
                    off.deciding.map(\.chain) == ["ISTIO_REDIRECT"] && off.deciding[0].verdict == "redirect to :15001")
                #expect(off.deciding[0].rule?.hasPrefix("rule 1, handle ") == true, "\(off)")
                #expect(off.steps.contains { $0.chain == "OUTPUT" && $0.verdict == "jump ISTIO_OUTPUT" }, "\(off)")
                // The sidecar's own connections are not redirected.
                let sidecar = try await rig.explain(to: "192.0.2.1:80", uid: 1337).probes
                #expect(sidecar.map(\.end) == ["application 80"], "\(sidecar)")
                #expect(sidecar.first?.deciding.map { "\($0.chain) \($0.verdict)" } == ["ISTIO_OUTPUT return"])
                try await rig.on()
                let on = try await rig.explain(.outbound, .ipv4).deciding
                #expect(on.map { "\($0.table) \($0.chain)" } == ["kmesh_bypass output"], "\(on)")
                // An expired bypass redirects again, whatever rules are left of it.
                try await rig.on(ttl: 1)
                try rig.daemon.kill(19)
                try await eventually("it has expired") { try await rig.sandbox.paths == .sidecar }
                try rig.daemon.kill(18)
                #expect(try await rig.explain(.outbound, .ipv4).end == "sidecar 15001")
            }
        }

        /// Linkerd's, as its init leaves them, with one user's traffic and one port excepted.
        @Test(arguments: ["iptables-nft-restore", "iptables-legacy-restore"])
        func linkerdsRulesAreUnderstood(_ tool: String) async throws {
            try await Rig.with { rig in
                let rules = MeshRules.restore(
                    "nat", ["PROXY_INIT_REDIRECT", "PROXY_INIT_OUTPUT"],
                    [
                        "-A PREROUTING -m comment --comment install-proxy-init-prerouting -j PROXY_INIT_REDIRECT",
                        "-A PROXY_INIT_REDIRECT -p tcp -m multiport --dports 4190,4191,4567:4569 -j RETURN",
                        "-A PROXY_INIT_REDIRECT -p tcp -j REDIRECT --to-port 4143",
                        "-A OUTPUT -m comment --comment install-proxy-init-output -j PROXY_INIT_OUTPUT",
                        "-A PROXY_INIT_OUTPUT -m owner --uid-owner 2102 -j RETURN",
                        "-A PROXY_INIT_OUTPUT -o lo -j RETURN",
                        "-A PROXY_INIT_OUTPUT -p tcp -m multiport --dports 4567,4568 -j RETURN",
                        "-A PROXY_INIT_OUTPUT ! -d 198.51.100.0/24 -p tcp -j REDIRECT --to-port 4140",
                    ])
                try await rig.sandbox.run([tool], in: .pod, input: rules)
                for isOn in [false, true] {
                    if isOn { #expect(try await rig.on().effective) }
                    for (to, uid, end) in [
                        ("192.0.2.1:80", 0, "sidecar 4140"), ("192.0.2.1:80", 2102, "application 80"),
                        ("192.0.2.1:4568", 7, "application 4568"), ("198.51.100.7:80", 7, "application 80"),
                        ("127.0.0.1:80", 7, "application 80"), ("10.89.0.1:80", 0, "sidecar 4143"),
                        ("10.89.0.1:4190", 0, "application 4190"), ("10.89.0.1:4568", 0, "application 4568"),
                    ] {
                        let probe = try await rig.explain(to: to, uid: uid).probes[0]
                        let direct = "application \(to.split(separator: ":")[1])"
                        #expect(probe.end == (isOn ? direct : end), "on \(isOn), \(to) by \(uid): \(probe)")
                    }
                    // What a virtual machine behind the pod sends is inbound to the rules, and outbound.
                    let forwarded = try await rig.explain(to: "192.0.2.1:80", from: "10.89.0.77").probes[0]
                    #expect(forwarded.direction == "outbound" && forwarded.source == "rules")
                    #expect(forwarded.end == (isOn ? "application 80" : "sidecar 4143"), "\(forwarded)")
                }
            }
        }

        @Test func withoutADestinationThereAreExamplesOfBothDirections() async throws {
            try await Rig.with { rig in
                try await rig.sandbox.install(.iptables)
                try await rig.sandbox.run(
                    "iptables-nft -t nat -A OUTPUT -p udp --dport 53 -j REDIRECT --to-ports 15053".split(separator: " ")
                        .map(String.init), in: .pod)
                let probes = try await rig.explain().probes
                #expect(
                    probes.map { "\($0.direction) \($0.family) \($0.protocol) \($0.end)" } == [
                        "outbound ip tcp sidecar 15001", "outbound ip udp sidecar 15053",
                        "inbound ip tcp sidecar 15006",
                        "outbound ip6 tcp sidecar 15001", "outbound ip6 udp application 53",
                        "inbound ip6 tcp sidecar 15006",
                    ])
            }
        }

        @Test func whatCannotBeKnownIsNotGuessed() async throws {
            try await Rig.with { rig in
                let sandbox = rig.sandbox
                let random =
                    "-t nat -A OUTPUT -p tcp -m statistic --mode random --probability 0.5 -j REDIRECT --to-ports 9"
                try await sandbox.run(["iptables-nft"] + random.split(separator: " ").map(String.init), in: .pod)
                let probe = try await rig.explain(to: "192.0.2.1:80", uid: 5).probes[0]
                #expect(probe.end == "unknown" && probe.deciding.count == 1, "\(probe)")
                #expect(probe.deciding.first?.verdict.contains("not known") == true, "\(probe)")
                // Either way ends at the same place.
                let other = "-t nat -I OUTPUT -p tcp -m statistic --mode random --probability 0.5 -j LOG"
                try await sandbox.run(["iptables-nft", "-t", "nat", "-F"], in: .pod)
                try await sandbox.run(["iptables-nft"] + other.split(separator: " ").map(String.init), in: .pod)
                #expect(try await rig.explain(to: "192.0.2.1:80", uid: 5).probes[0].end == "application 80")
                // More rules than are read, and the time that it takes.
                try await sandbox.fill(sandbox.pod, rules: 20_000)
                let large = try await rig.explain(to: "192.0.2.1:80", uid: 5)
                #expect(large.probes[0].end == "unknown" && large.codes == ["unreadable"], "\(large.codes)")
                try await sandbox.run(["nft", "flush", "ruleset"], in: .pod)
                try await sandbox.changing(sandbox.pod, every: .milliseconds(1)) {
                    let answer = try await rig.explain(to: "192.0.2.1:80", uid: 5)
                    #expect(answer.codes == [] || answer.probes[0].end == "unknown", "\(answer)")
                }
            }
        }

        @Test func whoMayExplainAndWhatIsRefused() async throws {
            try await Rig.with { rig in
                let pod = rig.sandbox.pod
                for (members, word) in [
                    (#""to":"192.0.2.1""#, "to:"), (#""to":"192.0.2.1:0""#, "to:"), (#""to":"::1:80""#, "to:"),
                    (#""from":"x""#, "from:"), (#""to":"192.0.2.1:80","from":"::1""#, "from:"),
                    (#""uid":4294967296"#, "uid:"), (#""uid":-1"#, "uid:"), (#""protocol":"sctp""#, "protocol:"),
                ] {
                    let message = try await rig.message(
                        "explain", try JSONReader.read(#"{"netns":"\#(pod)",\#(members)}"#))
                    #expect(message?.contains(word) == true, "\(members): \(message ?? "no error")")
                }
                #expect(try await rig.refusal("explain", ["none"]) == .notFound)
                #expect(try await rig.refusal("explain", ["/proc/1/ns/net"]) == .host)
            }
        }
    }
}
