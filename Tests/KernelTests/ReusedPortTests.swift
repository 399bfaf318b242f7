import MeshSandbox
import TestSupport
import Testing

extension KernelTests {
    /// conntrack keeps the mapping of a connection that its server has reset for ten seconds, and gives it to the next one
    /// between the same ends.
    @Suite struct ReusedPortTests {
        @Test(arguments: MeshSandbox.Direction.allCases, MeshSandbox.Family.allCases)
        func whatFollowsAConnectionThatTheProxyHasResetTakesTheNewWay(
            _ direction: MeshSandbox.Direction, _ family: MeshSandbox.Family
        ) async throws {
            try await Rig.with { rig in
                try await rig.sandbox.install(.iptables)
                let old = try await rig.sandbox.connect(direction, family, from: 40123)
                #expect(old.greeting == .sidecar)
                for port in [15001, 15006] {
                    try await rig.sandbox.run(
                        ["ss", "--kill", "--tcp", "state", "established", "sport", "=", ":\(port)"], in: .pod)
                }
                if case .unanswered = try await old.ask() {} else { Issue.record("it is not reset") }
                old.close()
                let on = try await rig.on()
                #expect(on.codes == [])
                let new = try await rig.sandbox.connect(direction, family, from: 40123)
                #expect(new.greeting == .app)
                new.close()
            }
        }
    }
}
