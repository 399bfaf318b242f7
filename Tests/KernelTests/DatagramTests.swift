import Linux
import MeshSandbox
import StrictJSON
import SystemPackage
import TestSupport
import Testing

extension KernelTests {
    /// UDP has no connections that could stay where they are: its flows move with `on`, `off` and expiry at once.
    @Suite struct DatagramTests {
        private typealias Family = MeshSandbox.Family

        /// Sockets that have asked the name server once, each with a flow that conntrack knows.
        private static func sockets(_ rig: Rig) async throws -> [DatagramClient] {
            var sockets: [DatagramClient] = []
            for family in Family.allCases { sockets.append(try rig.sandbox.datagramSocket(family)) }
            return sockets
        }

        private static func expect(
            _ answer: MeshSandbox.Answer, _ sockets: [DatagramClient], _ comment: Comment,
            sourceLocation: SourceLocation = #_sourceLocation
        ) async throws {
            for socket in sockets {
                #expect(try await socket.ask() == answer, comment, sourceLocation: sourceLocation)
            }
        }

        @Test func longLivedSocketsMoveWithOnAndOff() async throws {
            try await Rig.with { rig in
                try await rig.sandbox.captureDNS()
                try await rig.sandbox.withNameServers {
                    let sockets = try await Self.sockets(rig)
                    try await Self.expect(.sidecar, sockets, "before")
                    for _ in 0..<3 {
                        #expect(try await rig.on().codes == [])
                        try await Self.expect(.app, sockets, "with the next datagram")
                        #expect(try await rig.off().codes == [])
                        try await Self.expect(.sidecar, sockets, "with the next datagram")
                    }
                }
            }
        }

        @Test func reusedPortsMove() async throws {
            try await Rig.with { rig in
                try await rig.sandbox.captureDNS()
                try await rig.sandbox.withNameServers {
                    let ports = 20000..<20020
                    func answers() async throws -> [MeshSandbox.Answer: Int] {
                        var answers: [MeshSandbox.Answer: Int] = [:]
                        for port in ports {
                            for family in Family.allCases {
                                let socket = try rig.sandbox.datagramSocket(family, port: port)
                                answers[try await socket.ask(), default: 0] += 1
                            }
                        }
                        return answers
                    }
                    #expect(try await answers() == [.sidecar: 40])
                    try await rig.on()
                    #expect(try await answers() == [.app: 40])
                    try await rig.off()
                    #expect(try await answers() == [.sidecar: 40])
                }
            }
        }

        @Test func onlyTheAskedDirectionMoves() async throws {
            try await Rig.with { rig in
                try await rig.sandbox.captureDNS()
                try await rig.sandbox.withNameServers {
                    let sockets = try await Self.sockets(rig)
                    try await Self.expect(.sidecar, sockets, "before")
                    try await rig.on(direction: "inbound")
                    try await Self.expect(.sidecar, sockets, "outbound was not asked for")
                    try await rig.on(direction: "outbound")
                    try await Self.expect(.app, sockets, "outbound")
                    try await rig.on(direction: "inbound")
                    try await Self.expect(.sidecar, sockets, "outbound is no longer bypassed")
                }
            }
        }

        @Test func expiryAndClearMoveFlows() async throws {
            try await Rig.with { rig in
                try await rig.sandbox.captureDNS()
                try await rig.sandbox.withNameServers {
                    let sockets = try await Self.sockets(rig)
                    try await rig.on()
                    try await Self.expect(.app, sockets, "on")
                    _ = try await rig.call("clear")
                    try await Self.expect(.sidecar, sockets, "cleared")
                    try await rig.on(ttl: 3)
                    try await Self.expect(.app, sockets, "on again")
                    try await eventually("it has expired, and they have moved") {
                        for socket in sockets where try await socket.ask() != .sidecar { return false }
                        return true
                    }
                }
            }
        }

        /// What cannot be done about flows is reported, and does not make the call fail.
        @Test func whatCannotBeDoneIsReported() async throws {
            try await Rig.withoutDaemon { rig in
                let faults = try Faults(in: rig.folder.path)
                try await rig.start(environment: faults.environment)
                try await rig.sandbox.install(.iptables)
                try await rig.sandbox.captureDNS()
                try await rig.sandbox.withNameServers {
                    let sockets = try await Self.sockets(rig)
                    try await Self.expect(.sidecar, sockets, "before")
                    faults.plan.arm(.fail(.notPermitted), at: "send: forgetting flows")
                    let on = try await rig.on()
                    #expect(on.state == "on" && on.codes.contains("udp-flows"), "\(on.warnings)")
                    #expect(on.warnings.contains { $0.message.contains("forgetting flows") })
                    try await Self.expect(.sidecar, sockets, "they are as before")
                    // The same call again does what is left to do.
                    #expect(try await rig.on().codes == [])
                    try await Self.expect(.app, sockets, "moved")

                    let old = try await rig.sandbox.connect(.outbound, .ipv4)
                    #expect(old.greeting == .app)
                    faults.plan.arm(.fail(.notPermitted), at: "send: ending connections")
                    let params: JSONValue = [
                        "netns": .string(rig.sandbox.pod), "state": "off", "connections": "reset",
                    ]
                    let off = try BypassAnswer(try await rig.call("bypass", params))
                    #expect(off.state == "off" && off.codes == ["established-connections"], "\(off.warnings)")
                    #expect(try await old.ask() == .app)
                    old.close()
                }
            }
        }

        /// What no rule of the mesh takes keeps its entry: conntrack counts its packets on.
        @Test func flowsThatNoRuleTakesAreLeftAlone() async throws {
            try await Rig.with { rig in
                try await rig.sandbox.captureDNS()
                try await rig.sandbox.withNameServers {
                    let socket = try rig.sandbox.datagramSocket(.ipv4, to: 5353)
                    try socket.send()
                    let before = try await rig.sandbox.conntrack("-p udp --orig-port-dst 5353")
                    #expect(before.count == 1)
                    try await rig.on()
                    try await rig.off()
                    let after = try await rig.sandbox.conntrack("-p udp --orig-port-dst 5353")
                    #expect(after == before)
                }
            }
        }
    }
}
