import Linux
import MeshSandbox
import SystemPackage
import TestSupport
import Testing

extension KernelTests {
    /// Marks that are set in OUTPUT beside a TPROXY that takes packets on `lo`: the routing rules decide whether they lead
    /// there, and `effective` agrees with what probes see.
    @Suite struct RoutedMarkTests {
        @Test(arguments: MeshSandbox.Mesh.redirecting)
        func anotherProgramsMarkTakesNothing(_ mesh: MeshSandbox.Mesh) async throws {
            try await Rig.with { rig in
                let sandbox = rig.sandbox
                try await sandbox.install(mesh)
                try await sandbox.installTPROXY(mesh)
                // As Istio has it: what TPROXY has marked comes back to the proxy.
                try await sandbox.route("rule add fwmark 0x539 lookup 100\nroute add local default dev lo table 100")
                try await sandbox.installMark(0x10, by: mesh)
                try await sandbox.route("rule add fwmark 0x10/0xf0 lookup 200\nroute add default dev eth0 table 200")
                #expect(try await sandbox.paths == .sidecar)
                let on = try await rig.on()
                #expect(on.effect == "all" && on.codes == [], "\(on.warnings)")
                #expect(try await sandbox.paths == .app)
                #expect(try await rig.explain(.outbound, .ipv4).end == "application 8080")
                #expect(try await rig.off().codes == [])
                #expect(try await sandbox.paths == .sidecar)
            }
        }

        /// In one family or both: at the next look, the status says what probes see.
        @Test(arguments: MeshSandbox.Mesh.redirecting)
        func aRoutingRuleThatComesOrGoesIsSeenAtTheNextLook(_ mesh: MeshSandbox.Mesh) async throws {
            try await Rig.with { rig in
                let sandbox = rig.sandbox
                try await sandbox.install(mesh)
                try await sandbox.installOutboundTPROXY(mesh, rule: nil)
                try await sandbox.route("route add local default dev lo table 100")
                #expect(try await rig.on().codes == [])
                #expect(try await rig.list().allSatisfy(\.effective))
                for families in [MeshSandbox.Family.allCases, [.ipv4], [.ipv6]] {
                    try await sandbox.route("rule add fwmark 1 lookup 100", families)
                    for family in MeshSandbox.Family.allCases {
                        let answer = try await sandbox.whoAnswers(.outbound, family)
                        #expect(answer == (families.contains(family) ? .sidecar : .app), "\(family) of \(families)")
                        let end = try await rig.explain(.outbound, family).end
                        #expect(end == (families.contains(family) ? "sidecar 15001" : "application 8080"))
                    }
                    let taken = try await rig.status()
                    #expect(taken.effect == "some" && Set(taken.codes) == ["tproxy"], "\(taken.warnings)")
                    #expect(try await rig.list().allSatisfy { !$0.effective })
                    try await sandbox.route("rule del fwmark 1 lookup 100", families)
                    let free = try await rig.status()
                    #expect(free.effect == "all" && free.codes == [], "\(free.warnings)")
                    #expect(try await sandbox.paths == .app)
                }
            }
        }

        enum Answer: Sendable {
            case taken, free
            /// Whether the probe is taken depends on what is not known of all packets.
            case unknown(MeshSandbox.Answer)
        }

        /// Lines of ip(8) besides table 100, which leads to `lo`, and what becomes of packets with the mark 1.
        private static let rules: [(String, Answer)] = [
            ("rule add fwmark 1 lookup 100", .taken), ("rule add fwmark 2 lookup 100", .free),
            ("rule add fwmark 0x11/0xf lookup 100", .taken), ("rule add fwmark 0x11/0xf0 lookup 100", .free),
            ("rule add not fwmark 0/0xff lookup 100", .taken), ("rule add iif lo fwmark 1 lookup 100", .taken),
            ("rule add iif eth0 fwmark 1 lookup 100", .free),
            ("rule add uidrange 0-0 fwmark 1 lookup 100", .unknown(.sidecar)),
            ("rule add uidrange 4000-4000 fwmark 1 lookup 100", .unknown(.app)),
            ("rule add oif eth0 fwmark 1 lookup 100", .unknown(.app)),
            ("rule add fwmark 1 lookup main", .free), ("rule add fwmark 1 lookup 104", .free),
            ("rule add pref 40000 fwmark 1 lookup 100", .unknown(.app)),
            ("rule add fwmark 1 lookup 100 suppress_prefixlength 0", .free),
            (
                "rule add pref 200 lookup main\nrule add pref 90 fwmark 1 goto 200\nrule add pref 100 fwmark 1 lookup 100",
                .free
            ),
            ("rule add fwmark 1 lookup 101\nroute add default dev eth0 table 101", .free),
            ("rule add fwmark 1 lookup 102\nroute add local default dev eth0 table 102", .taken),
            (
                "rule add fwmark 1 lookup 103\nroute add unreachable default metric 9 table 103\nroute add default dev eth0 metric 1 table 103",
                .free
            ),
            ((200..<217).map { "rule add fwmark 1 lookup \($0)" }.joined(separator: "\n"), .unknown(.app)),
        ]

        @Test func theStatusAgreesWithProbesWhateverTheRulesAre() async throws {
            try await Rig.with { rig in
                let sandbox = rig.sandbox
                try await sandbox.installOutboundTPROXY(rule: nil)
                try await sandbox.route("route add local default dev lo table 100")
                try await rig.on()
                for (lines, expected) in Self.rules {
                    try await sandbox.route(lines)
                    var (answer, isKnown) = (MeshSandbox.Answer.app, true)
                    switch expected {
                    case .taken: answer = .sidecar
                    case .free: break
                    case .unknown(let who): (answer, isKnown) = (who, false)
                    }
                    #expect(try await sandbox.paths == Paths(inbound: .app, outbound: answer), "\(lines)")
                    let status = try await rig.status()
                    let isFree = isKnown && answer == .app
                    #expect(status.effect == (isFree ? "nothing-to-bypass" : "none"), "\(lines): \(status.warnings)")
                    #expect(
                        Set(status.codes) == [isFree ? "no-interception" : "tproxy"], "\(lines): \(status.warnings)")
                    let isSaid = status.warnings.contains { $0.message.contains("it is not known") }
                    #expect(isSaid == !isKnown, "\(lines): \(status.warnings)")
                    try await sandbox.route(lines.replacing(" add ", with: " del "))
                }
                #expect(try await rig.status().codes == ["no-interception"])
            }
        }

        /// And where there is nothing to decide, they are not read.
        @Test func routingRulesThatCannotBeReadAreReported() async throws {
            try await Rig.withoutDaemon(Rig.unattended) { rig in
                let faults = try Faults(in: rig.folder.path)
                try await rig.start(environment: faults.environment)
                let sandbox = rig.sandbox
                try await sandbox.installOutboundTPROXY(rule: "fwmark 2 lookup 100")
                try await sandbox.route("rule add fwmark 1 lookup 101")
                try await rig.on()
                func status(failingAt operation: String) async throws -> (answer: BypassAnswer, calls: Int) {
                    faults.plan.arm(.fail(.noBufferSpace), at: operation)
                    defer { faults.plan.disarm() }
                    return (try await rig.status(), faults.plan.injected)
                }
                for operation in [
                    "socket NETLINK_ROUTE", "setsockopt NETLINK_GET_STRICT_CHK", "send: reading routing rules",
                    "recvmmsg: reading routing rules", "send: reading routes", "recvmmsg: reading routes",
                ] {
                    let failed = try await status(failingAt: operation)
                    #expect(failed.calls == 1, "\(operation)")
                    #expect(failed.answer.effect == "none" && Set(failed.answer.codes) == ["tproxy"], "\(operation)")
                    let isSaid = failed.answer.warnings.contains { $0.message.contains("it is not known") }
                    #expect(isSaid, "\(operation): \(failed.answer.warnings)")
                    #expect(try await rig.status().effect == "nothing-to-bypass", "\(operation)")
                }
                for tool in ["iptables", "ip6tables"] {
                    try await sandbox.run([tool, "-t", "mangle", "-F", "OUTPUT"], in: .pod)
                }
                #expect(try await status(failingAt: "socket NETLINK_ROUTE").calls == 0)
            }
        }
    }
}
