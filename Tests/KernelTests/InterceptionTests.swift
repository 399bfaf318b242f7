import MeshSandbox
import TestSupport
import Testing

extension KernelTests {
    @Suite struct InterceptionTests {
        @Test(arguments: MeshSandbox.Mesh.allCases, ["both", "inbound", "outbound"])
        func theAppAnswersWhileTheBypassIsOn(_ mesh: MeshSandbox.Mesh, _ direction: String) async throws {
            try await Rig.with { rig in
                try await rig.sandbox.install(mesh)
                #expect(try await rig.sandbox.paths == .sidecar)

                let on = try await rig.on(direction: direction)
                #expect(on.state == "on" && on.effective && on.changed == true && on.direction == direction)
                #expect(on.codes == [])
                #expect(try await rig.sandbox.paths == .bypassed(direction))
                let status = try await rig.status()
                #expect(status.state == "on" && status.effective && status.codes == [])
                #expect(status.rules == on.rules)

                let off = try await rig.off()
                #expect(off.state == "off" && off.changed == true && off.direction == nil && off.rules == [])
                #expect(try await rig.sandbox.paths == .sidecar)
                #expect(try await rig.status().state == "off")
            }
        }

        @Test func onTwiceAndOffTwiceChangeNothingTheSecondTime() async throws {
            try await Rig.with { rig in
                try await rig.sandbox.install(.iptables)
                let first = try await rig.on(owner: "alice", reason: "a test")
                let second = try await rig.on(owner: "alice", reason: "a test")
                #expect(first.changed == true && second.changed == false)
                #expect(first.rules == second.rules && first.since == second.since)
                #expect(try await rig.sandbox.paths == .app)

                let off = try await rig.off()
                let again = try await rig.off()
                #expect(off.changed == true && again.changed == false && again.state == "off")
                #expect(try await rig.sandbox.paths == .sidecar)
            }
        }

        @Test func offWhereNothingEverWasOnIsNoError() async throws {
            try await Rig.with { rig in
                let off = try await rig.off()
                #expect(off.state == "off" && off.changed == false && off.effective == false)
                #expect(try await rig.sandbox.rules.isEmpty)
            }
        }

        /// A sidecar's init may come after the bypass was asked for.
        @Test(arguments: MeshSandbox.Mesh.redirecting)
        func aMeshThatComesLaterIsPassedByToo(_ mesh: MeshSandbox.Mesh) async throws {
            try await Rig.with { rig in
                #expect(try await rig.on().codes == ["no-interception"])
                try await rig.sandbox.install(mesh)
                #expect(try await rig.sandbox.paths == .app)
                let status = try await rig.status()
                #expect(status.state == "on" && status.effective && status.codes == [])
                try await rig.off()
                #expect(try await rig.sandbox.paths == .sidecar)
            }
        }

        @Test func onlyTheNamespaceThatWasNamedIsBypassed() async throws {
            try await Rig.with { rig in
                try await rig.sandbox.install(.iptables)
                // The peer gets the same rules; its traffic is not what is probed, the pod's must not change.
                #expect(try await rig.on(rig.sandbox.peer).state == "on")
                #expect(try await rig.sandbox.paths == .sidecar)
                #expect(try await rig.status().state == "off")
            }
        }

        @Test func whatIsPassedByIsCounted() async throws {
            try await Rig.with { rig in
                try await rig.sandbox.install(.iptables)
                try await rig.on(direction: "inbound")
                #expect(try await rig.sandbox.whoAnswers(.inbound, .ipv4) == .app)
                let packets = try await rig.status().packets
                #expect(packets["PREROUTING", default: 0] > 0 && packets["OUTPUT", default: 0] == 0)
            }
        }

        /// Also one that leaves the rules as they are.
        @Test func everyAnswerHasWhatWasCountedUntilThen() async throws {
            try await Rig.with { rig in
                try await rig.sandbox.install(.iptables)
                var counted = [try await rig.on(direction: "inbound").packets["PREROUTING", default: 0]]
                for _ in 1...3 {
                    #expect(try await rig.sandbox.whoAnswers(.inbound, .ipv4) == .app)
                    counted.append(try await rig.on(direction: "inbound").packets["PREROUTING", default: 0])
                    counted.append(try await rig.status().packets["PREROUTING", default: 0])
                }
                #expect(counted == counted.sorted() && Set(counted).count == 4, "\(counted)")
            }
        }
    }
}
