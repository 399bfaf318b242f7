import MeshSandbox
import TestSupport
import Testing

extension KernelTests {
    /// What a user who relies on a bypass gets to know.
    @Suite struct WarningTests {
        @Test(arguments: MeshSandbox.Mesh.allCases)
        func connectionsThatWereRedirectedBeforeAreCounted(_ mesh: MeshSandbox.Mesh) async throws {
            try await Rig.with { rig in
                try await rig.sandbox.install(mesh)
                let old = try await rig.sandbox.connect(.outbound, .ipv4)
                #expect(old.greeting == .sidecar)
                let on = try await rig.on()
                #expect(on.state == "on" && on.effective && on.codes == ["established-connections"])
                #expect(on.warnings.first?.message.hasPrefix("1 ") == true, "\(on.warnings)")
                #expect(try await old.ask() == .sidecar)
                #expect(try await rig.sandbox.paths == .app)

                let second = try await rig.sandbox.connect(.inbound, .ipv6)
                #expect(second.greeting == .app)
                // A connection that the bypass let by is none of those.
                #expect(try await rig.status().warnings == on.warnings)
                #expect(try await old.ask() == .sidecar)
                old.close()
                try await eventually("the warning goes with the connection") {
                    try await rig.status().codes == []
                }
                #expect(try await second.ask() == .app)
                second.close()
            }
        }

        @Test func everyOldConnectionIsCounted() async throws {
            try await Rig.with { rig in
                try await rig.sandbox.install(.iptables)
                var old: [MeshSandbox.Connection] = []
                for direction in MeshSandbox.Direction.allCases {
                    for family in MeshSandbox.Family.allCases {
                        old.append(try await rig.sandbox.connect(direction, family))
                    }
                }
                let warnings = try await rig.on().warnings
                #expect(warnings.map(\.code) == ["established-connections"])
                #expect(warnings.first?.message.hasPrefix("4 ") == true, "\(warnings)")
                for connection in old {
                    #expect(try await connection.ask() == .sidecar)
                    connection.close()
                }
            }
        }

        @Test func whereNothingIsRedirectedThereIsNothingToBypass() async throws {
            try await Rig.with { rig in
                let on = try await rig.on()
                #expect(on.state == "on" && on.codes == ["no-interception"])
                #expect(try await rig.status().codes == ["no-interception"])
                #expect(try await rig.sandbox.paths == .app)
            }
        }

        @Test func onlyTheDirectionThatWasAskedForCounts() async throws {
            try await Rig.with { rig in
                try await rig.sandbox.iptables("-A OUTPUT -p tcp -m tcp --dport 8080 -j REDIRECT --to-ports 15001")
                #expect(try await rig.on(direction: "inbound").codes == ["no-interception"])
                #expect(try await rig.on(direction: "outbound").codes == [])
                #expect(try await rig.on(direction: "both").codes == [])
            }
        }
    }
}
