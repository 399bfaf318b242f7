import MeshSandbox
import TestSupport
import Testing

extension KernelTests {
    /// What a virtual machine or an inner container behind the pod sends is outbound, though it comes in.
    @Suite struct ForwardedTrafficTests {
        @Test(arguments: MeshSandbox.Mesh.redirecting)
        func itIsBypassedAsOutbound(_ mesh: MeshSandbox.Mesh) async throws {
            try await Rig.with { rig in
                try await Guest.with(rig.sandbox) { guest in
                    try await rig.sandbox.install(mesh)
                    try await rig.sandbox.redirectGuest(mesh)
                    let before = try await rig.sandbox.rules
                    try await eventually("its connections go to the sidecar") {
                        try await guest.answers == [.sidecar, .sidecar]
                    }
                    for direction in ["outbound", "inbound", "both", "inbound", "outbound"] {
                        let on = try await rig.on(direction: direction)
                        #expect(on.state == "on" && on.effect == "all" && on.codes == [], "\(on.warnings)")
                        let answer: MeshSandbox.Answer = direction == "inbound" ? .sidecar : .app
                        #expect(try await guest.answers == [answer, answer], "\(direction)")
                        #expect(try await rig.sandbox.paths == .bypassed(direction))
                        #expect(try await rig.status().effect == "all")
                    }
                    try await rig.off()
                    #expect(try await guest.answers == [.sidecar, .sidecar])
                    #expect(try await rig.sandbox.rules == before)
                }
            }
        }

        @Test(arguments: [MeshSandbox.Mesh.iptables, .nftables])
        func aChangeOfDirectionLetsNoneThrough(_ mesh: MeshSandbox.Mesh) async throws {
            try await Rig.with { rig in
                try await Guest.with(rig.sandbox) { guest in
                    try await rig.sandbox.install(mesh)
                    try await rig.sandbox.redirectGuest(mesh)
                    try await rig.on()
                    try await eventually("its connections arrive") { try await guest.answers == [.app, .app] }
                    let witnesses = try await rig.sandbox.watching([.outbound], and: try guest.probes) {
                        for round in 1...4 {
                            let on = try await rig.on(direction: round % 2 == 0 ? "both" : "outbound")
                            #expect(on.effective && on.changed == true)
                        }
                    }
                    #expect(witnesses.sawOnlyTheApp, "\(witnesses)")
                }
            }
        }

        /// The rule and the guard stand in for each other where both are; for what is forwarded alone the guard is enough.
        @Test func aMissingGuardIsReportedAndComesBack() async throws {
            try await Rig.with(Rig.unattended) { rig in
                try await Guest.with(rig.sandbox) { guest in
                    try await rig.sandbox.install(.iptables)
                    try await rig.sandbox.redirectGuest(.iptables)
                    try await rig.on(direction: "outbound")
                    try await rig.sandbox.run(["nft", "delete", "table", "inet", "kmesh_bypass"], in: .pod)
                    let status = try await rig.status()
                    #expect(status.state == "degraded" && status.effect == "none", "\(status.warnings)")
                    #expect(status.codes == ["guard-missing", "guard-missing", "redirect", "redirect"])
                    try await rig.on(direction: "outbound")
                    try await eventually("its connections arrive") { try await guest.answers == [.app, .app] }
                }
            }
        }

        /// TPROXY is bypassed for the pod's own addresses.
        @Test func whatTPROXYTakesFromAnInterfaceIsReported() async throws {
            try await Rig.with { rig in
                let rule = "-A PREROUTING -i \(Guest.interface) -p tcp -j TPROXY --on-port 15001 --tproxy-mark 0x539"
                try await rig.sandbox.run(
                    ["iptables", "-t", "mangle"] + rule.split(separator: " ").map(String.init), in: .pod)
                for direction in ["both", "outbound"] {
                    let on = try await rig.on(direction: direction)
                    #expect(on.codes == ["forwarded-traffic"] && !on.effective, "\(on.warnings)")
                }
                #expect(try await rig.on(direction: "inbound").effect == "all")
            }
        }
    }
}
