import JSONRPC
import Linux
import MeshSandbox
import StrictJSON
import TestSupport
import Testing

extension KernelTests {
    /// What `trace` shows of real connections, and what is left of it.
    @Suite struct TraceTests {
        private static let table = "kmesh_bypass_trace"

        /// One connection each way in each family, as the trace shows it.
        private static func compare(_ rig: Rig, _ trace: TraceClient, _ mesh: MeshSandbox.Mesh, _ when: String)
            async throws
        {
            for direction in MeshSandbox.Direction.allCases {
                for family in MeshSandbox.Family.allCases {
                    let answer = try await rig.sandbox.whoAnswers(direction, family)
                    let shown = try await trace.connect()
                    let port = direction == .inbound ? 15006 : 15001
                    #expect(shown.end == (answer == .app ? "application 8080" : "sidecar \(port)"), "\(when): \(shown)")
                    #expect(shown.direction == direction.rawValue && shown.protocol == "tcp", "\(when): \(shown)")
                    let address = family.address(of: direction == .inbound ? .pod : .peer)
                    #expect(
                        shown.to == (family == .ipv4 ? "\(address):8080" : "[\(address)]:8080"), "\(when): \(shown)")
                    let source = family.address(of: direction == .inbound ? .peer : .pod)
                    #expect(shown.from.contains(source), "\(when): \(shown)")
                    #expect(shown.source == (mesh == .iptablesLegacy ? "rules" : "trace"), "\(when): \(shown)")
                    if answer == .sidecar {
                        #expect(shown.rules.count == 1 && shown.rules[0].hasSuffix(" to :\(port)"), "\(when): \(shown)")
                    }
                }
            }
        }

        @Test(arguments: MeshSandbox.Mesh.allCases)
        func everyNewConnectionIsShownWithItsEndAndRule(_ mesh: MeshSandbox.Mesh) async throws {
            try await Rig.with { rig in
                try await rig.sandbox.install(mesh)
                try await rig.withTrace { trace in
                    #expect(trace.codes == (mesh == .iptablesLegacy ? ["untraced"] : []))
                    try await Self.compare(rig, trace, mesh, "off")
                    try await rig.on()
                    try await Self.compare(rig, trace, mesh, "on")
                    try await rig.on(direction: "inbound", only: ["networks": ["fd89::/64"]])
                    try await Self.compare(rig, trace, mesh, "scoped")
                    try await rig.off()
                    try await Self.compare(rig, trace, mesh, "off again")
                }
            }
        }

        @Test func theRuleThatDecidesIsNamed() async throws {
            try await Rig.with { rig in
                try await rig.withTrace { trace in
                    _ = try await rig.sandbox.whoAnswers(.outbound, .ipv4)
                    let none = try await trace.connect()
                    #expect(none.end == "application 8080" && none.rules == [] && none.source == "trace", "\(none)")
                    // Rules that have changed since the trace began.
                    try await rig.sandbox.install(.iptables)
                    _ = try await rig.sandbox.whoAnswers(.outbound, .ipv4)
                    #expect(try await trace.connect().rules == ["nat ISTIO_REDIRECT: redirect to :15001"])
                    _ = try await rig.sandbox.whoAnswers(.inbound, .ipv6)
                    #expect(try await trace.connect().rules == ["nat ISTIO_IN_REDIRECT: redirect to :15006"])
                    try await rig.on()
                    _ = try await rig.sandbox.whoAnswers(.outbound, .ipv6)
                    #expect(try await trace.connect().rules == ["kmesh_bypass output: dnat to the address that it has"])
                }
            }
        }

        /// The rules of iptables-legacy are not traced, what becomes of the packet is.
        @Test func theRulesOfLegacyAreWorkedOutFromTheEnd() async throws {
            try await Rig.with { rig in
                try await rig.sandbox.install(.iptablesLegacy)
                try await rig.withTrace { trace in
                    _ = try await rig.sandbox.whoAnswers(.outbound, .ipv4)
                    #expect(try await trace.connect().rules == ["nat ISTIO_REDIRECT: redirect to :15001"])
                }
                // Where two rules may have sent it, it is known where it went, and not by which.
                let half = "-t nat -I OUTPUT -p tcp -m statistic --mode random --probability 0.5 -j REDIRECT --to-ports"
                for _ in 1...2 {
                    let words = ["iptables-legacy", "--wait"] + half.split(separator: " ").map(String.init) + ["15001"]
                    try await rig.sandbox.run(words, in: .pod)
                }
                try await rig.withTrace { trace in
                    _ = try await rig.sandbox.whoAnswers(.outbound, .ipv4)
                    let open = try await trace.connect()
                    #expect(open.end == "sidecar 15001" && open.rules == [] && open.source == "rules", "\(open)")
                }
            }
        }

        @Test(arguments: MeshSandbox.Mesh.redirecting)
        func whatTPROXYTakesIsShown(_ mesh: MeshSandbox.Mesh) async throws {
            try await Rig.with { rig in
                try await rig.sandbox.installOutboundTPROXY(mesh)
                try await rig.withTrace { trace in
                    for family in MeshSandbox.Family.allCases {
                        _ = try await rig.sandbox.whoAnswers(.outbound, family)
                        let shown = try await trace.connect()
                        // The rules of iptables-legacy alone do not say whether they have taken it.
                        let isLegacy = mesh == .iptablesLegacy
                        #expect(shown.end == (isLegacy ? "unknown" : "sidecar 15001"), "\(shown)")
                        #expect(shown.rules.count == (isLegacy ? 0 : 1), "\(shown)")
                    }
                }
                try await rig.sandbox.installTPROXY(mesh)
                try await rig.withTrace { trace in
                    for family in MeshSandbox.Family.allCases {
                        #expect(try await rig.sandbox.whoAnswers(.inbound, family) == .sidecar)
                        let shown = try await trace.connect()
                        #expect(shown.end == "sidecar 15006" && shown.direction == "inbound", "\(shown)")
                    }
                    try await rig.on(direction: "inbound")
                    for family in MeshSandbox.Family.allCases {
                        #expect(try await rig.sandbox.whoAnswers(.inbound, family) == .app)
                        let shown = try await trace.connect()
                        #expect(shown.end == "application 8080", "\(shown)")
                    }
                }
            }
        }

        @Test func aFlowOfUDPIsOneConnection() async throws {
            try await Rig.with { rig in
                try await rig.sandbox.withNameServers {
                    try await rig.sandbox.captureDNS()
                    try await rig.withTrace { trace in
                        for family in MeshSandbox.Family.allCases {
                            let socket = try rig.sandbox.datagramSocket(family)
                            for _ in 1...3 { #expect(try await socket.ask() == .sidecar) }
                            let shown = try await trace.connect()
                            #expect(shown.protocol == "udp" && shown.end == "sidecar 15053", "\(shown)")
                        }
                        _ = try await rig.sandbox.whoAnswers(.outbound, .ipv4)
                        #expect(try await trace.connect().protocol == "tcp")
                    }
                }
            }
        }

        @Test(arguments: ["iptables-nft", "iptables-legacy"])
        func whatIsDroppedIsShown(_ tool: String) async throws {
            try await Rig.with { rig in
                let rule = "-A INPUT -p tcp --dport 8080 -j DROP".split(separator: " ").map(String.init)
                try await rig.sandbox.run([tool] + rule, in: .pod)
                try await rig.withTrace { trace in
                    let asking = Task { try await rig.sandbox.whoAnswers(.inbound, .ipv4) }
                    let shown = try await trace.connect()
                    #expect(shown.end == "dropped" && shown.rules == ["filter INPUT: drop"], "\(shown)")
                    try await rig.sandbox.run([tool, "-F", "INPUT"], in: .pod)
                    #expect(try await asking.value == .app)
                }
            }
        }

        // MARK: ends

        @Test func itEndsByItselfAndLeavesNothing() async throws {
            try await Rig.with { rig in
                try await rig.sandbox.install(.iptables)
                let before = try await rig.sandbox.ruleset()
                try await rig.withTrace(seconds: 1) { trace in
                    let during = try await rig.sandbox.ruleset()
                    #expect(during.contains(Self.table))
                    #expect(try await trace.next() == .ended(reason: "time", connections: 0, leftOut: 0))
                    #expect(try await rig.sandbox.ruleset() == before)
                }
                try await rig.withTrace(count: 2) { trace in
                    for _ in 1...2 { _ = try await rig.sandbox.whoAnswers(.outbound, .ipv4) }
                    _ = (try await trace.connect(), try await trace.connect())
                    #expect(try await trace.next() == .ended(reason: "count", connections: 2, leftOut: 0))
                    #expect(try await rig.sandbox.ruleset() == before)
                    // The connection goes on, and can trace again; a second trace replaces the first.
                    for _ in 1...2 {
                        try await trace.request(
                            #"{"jsonrpc":"2.0","id":8,"method":"trace","params":["\#(rig.sandbox.pod)",60]}"#)
                    }
                    #expect(try await rig.sandbox.ruleset().contains(Self.table))
                }
                #expect(try await rig.sandbox.ruleset() == before)
            }
        }

        @Test func aNamespaceThatIsDeletedIsNotKept() async throws {
            try await Rig.with { rig in
                try await rig.sandbox.withNamespace { name in
                    try await rig.withTrace(name) { trace in
                        try await rig.sandbox.run(["ip", "netns", "delete", name], in: .host)
                        #expect(try await trace.next() == .ended(reason: "gone", connections: 0, leftOut: 0))
                    }
                }
            }
        }

        @Test func aClientThatIsKilledEndsIt() async throws {
            try await Rig.with { rig in
                try await rig.sandbox.install(.iptables)
                let before = try await rig.sandbox.ruleset()
                let tool = rig.controlTool
                let client = Task {
                    try await rig.sandbox.run(
                        ["timeout", "-s", "KILL", "2", tool, "trace", rig.sandbox.pod, "--socket", rig.socket],
                        in: .host)
                }
                try await eventually("it traces") { try await rig.sandbox.ruleset().contains(Self.table) }
                #expect(try await rig.refusal("trace", [.string(rig.sandbox.pod)]) == .conflict)
                await #expect(throws: (any Error).self) { try await client.value }
                try await eventually("the table is gone") { try await rig.sandbox.ruleset() == before }
                // Another can trace at once.
                try await rig.withTrace { trace in
                    _ = try await rig.sandbox.whoAnswers(.inbound, .ipv4)
                    #expect(try await trace.connect().end == "sidecar 15006")
                }
            }
        }

        @Test(arguments: [Int32(9), 15])
        func aDaemonThatEndsLeavesNothing(_ signal: Int32) async throws {
            try await Rig.with { rig in
                try await rig.sandbox.install(.iptables)
                try await rig.on()
                let before = try await rig.sandbox.ruleset()
                try await rig.withTrace { _ in
                    #expect(try await rig.sandbox.ruleset() != before)
                    try rig.daemon.kill(signal)
                    _ = try await rig.daemon.exit()
                    try await eventually("the kernel has removed the table") {
                        try await rig.sandbox.ruleset() == before
                    }
                }
                try await rig.start()
            }
        }

        // MARK: bounds

        /// Each connection is shown or counted.
        @Test func ofAFloodTheRestIsCounted() async throws {
            try await Rig.with { rig in
                try await rig.sandbox.install(.iptables)
                try await rig.withTrace(seconds: 4) { trace in
                    let probe = try Probe(rig.sandbox, .outbound, .ipv4)
                    try await Threads.run {
                        let namespace = try probe.open()
                        for _ in 1...300 { #expect(probe.ask(from: namespace) == .sidecar) }
                    }
                    var (shown, leftOut) = (0, 0)
                    while true {
                        switch try await trace.next() {
                        case .connection(let connection):
                            #expect(connection.end == "sidecar 15001", "\(connection)")
                            shown += 1
                        case .leftOut(let count): leftOut += count
                        case .ended(let reason, let connections, let all):
                            #expect(reason == "time" && connections == shown && all == 300 - shown)
                            #expect((20...150).contains(shown), "\(shown)")
                            #expect(leftOut > 0 && leftOut <= all, "\(leftOut) of \(all)")
                            return
                        }
                    }
                }
            }
        }

        @Test func whoMayTraceAndWhatIsRefused() async throws {
            try await Rig.with { rig in
                let pod = rig.sandbox.pod
                for (members, word) in [
                    (#""seconds":601"#, "seconds:"), (#""seconds":0"#, "seconds:"), (#""count":0"#, "count:"),
                    (#""count":1000001"#, "count:"),
                ] {
                    let message = try await rig.message(
                        "trace", try JSONReader.read(#"{"netns":"\#(pod)",\#(members)}"#))
                    #expect(message?.contains(word) == true, "\(members): \(message ?? "no error")")
                }
                #expect(try await rig.refusal("trace", ["none"]) == .notFound)
                #expect(try await rig.refusal("trace", ["/proc/1/ns/net"]) == .host)
                // A table of that name is another program's.
                try await rig.sandbox.run(["nft", "add", "table", "inet", Self.table], in: .pod)
                #expect(try await rig.refusal("trace", [.string(pod)]) == .conflict)
                try await rig.sandbox.run(["nft", "delete", "table", "inet", Self.table], in: .pod)
                // While it traces, the rules are evaluated.
                try await rig.sandbox.install(.iptables)
                try await rig.withTrace { _ in
                    let probe = try await rig.explain(.outbound, .ipv4)
                    #expect(probe.source == "rules" && probe.end == "sidecar 15001", "\(probe)")
                }
            }
        }
    }
}
