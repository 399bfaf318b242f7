import MeshSandbox
import TestSupport
import Testing

extension KernelTests {
    /// What is bypassed before and after a change is bypassed during the change, too.
    @Suite struct DirectionTests {
        /// Every change from one direction to another, once.
        private static let walk = ["inbound", "both", "outbound", "inbound", "outbound", "both"]

        private static func directions(_ name: String) -> Set<MeshSandbox.Direction> {
            switch name {
            case "inbound": [.inbound]
            case "outbound": [.outbound]
            default: [.inbound, .outbound]
            }
        }

        @Test(arguments: MeshSandbox.Mesh.allCases)
        func aDirectionThatStaysNeverSeesTheSidecar(_ mesh: MeshSandbox.Mesh) async throws {
            try await Rig.with { rig in
                try await rig.sandbox.install(mesh)
                var current = "both"
                try await rig.on(direction: current)
                for next in Self.walk {
                    let stay = Self.directions(current).intersection(Self.directions(next))
                    let witnesses = try await rig.sandbox.watching(Array(stay)) {
                        let on = try await rig.on(direction: next)
                        #expect(on.state == "on" && on.effective && on.changed == true && on.direction == next)
                        #expect(!on.codes.contains { $0 != "established-connections" })
                    }
                    #expect(witnesses.sawOnlyTheApp, "\(current) to \(next): \(witnesses)")
                    #expect(try await rig.sandbox.paths == .bypassed(next), "\(current) to \(next)")
                    current = next
                }
                try await rig.off()
                #expect(try await rig.sandbox.paths == .sidecar)
                #expect(try await Leftovers.scan(rig.sandbox.pod) == [])
            }
        }

        @Test(arguments: MeshSandbox.Mesh.allCases)
        func onWhileOnNeverLetsAConnectionThrough(_ mesh: MeshSandbox.Mesh) async throws {
            try await Rig.with { rig in
                try await rig.sandbox.install(mesh)
                try await rig.on()
                let witnesses = try await rig.sandbox.watching {
                    for round in 1...20 {
                        let on = try await rig.on(ttl: round % 2 == 0 ? nil : 1000 + round, owner: "round \(round)")
                        #expect(on.state == "on" && on.owner == "round \(round)" && on.changed == true)
                        #expect((on.expiresAt == nil) == (round % 2 == 0))
                    }
                }
                #expect(witnesses.sawOnlyTheApp, "\(witnesses)")
            }
        }

        /// A repair must not open what it closes.
        @Test func aRepairLetsNoConnectionThrough() async throws {
            try await Rig.with(Rig.unattended) { rig in
                try await rig.sandbox.install(.iptables)
                try await rig.on()
                let witnesses = try await rig.sandbox.watching {
                    for _ in 1...10 {
                        try await rig.sandbox.iptables("-D OUTPUT 1")
                        try await rig.sandbox.iptables("-I PREROUTING -p tcp -j REDIRECT --to-ports 15006")
                        #expect(try await rig.status().state == "degraded")
                        #expect(try await rig.on().state == "on")
                        try await rig.sandbox.iptables("-D PREROUTING -p tcp -j REDIRECT --to-ports 15006")
                    }
                }
                #expect(witnesses.sawOnlyTheApp, "\(witnesses)")
            }
        }
    }
}
