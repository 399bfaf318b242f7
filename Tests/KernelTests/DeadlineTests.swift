import MeshSandbox
import TestSupport
import Testing

extension KernelTests {
    /// `ttl`: a bypass ends by itself.
    @Suite struct DeadlineTests {
        @Test(arguments: MeshSandbox.Mesh.allCases)
        func theBypassEndsWhileTheDaemonIsStopped(_ mesh: MeshSandbox.Mesh) async throws {
            try await Rig.with { rig in
                try await rig.sandbox.install(mesh)
                let before = try await rig.sandbox.rules
                let start = ContinuousClock.now
                let on = try await rig.on(ttl: 1)
                #expect(on.state == "on" && on.expiresAt != nil)
                try rig.daemon.kill(19)  // SIGSTOP
                #expect(try await rig.sandbox.paths == .app)
                try await eventually("the sidecar answers again") { try await rig.sandbox.paths == .sidecar }
                #expect(ContinuousClock.now - start >= .seconds(1))
                // Only the matcher can have done that: the rules are still there.
                #expect(try await !Leftovers.scan(rig.sandbox.pod).isEmpty)

                try rig.daemon.kill(18)  // SIGCONT
                try await eventually("the rules are gone") { try await rig.sandbox.rules == before }
                let status = try await rig.status()
                #expect(status.state == "off" && status.expiresAt == nil && !status.effective)
                #expect(try await rig.list() == [])
                #expect(try await rig.sandbox.paths == .sidecar)
            }
        }

        @Test func theDaemonCleansUpAfterADeadline() async throws {
            try await Rig.with { rig in
                let on = try await rig.on(ttl: 1, owner: "alice")
                #expect(try await rig.status().expiresAt == on.expiresAt)
                try await eventually("nothing is left") { try await rig.sandbox.rules.isEmpty }
                #expect(try await rig.status().state == "off")
                #expect(try await rig.list() == [])
            }
        }

        @Test func aLaterOnTakesTheDeadlineAway() async throws {
            try await Rig.with { rig in
                try await rig.sandbox.install(.iptables)
                let end = ContinuousClock.now + .milliseconds(1500)
                try await rig.on(ttl: 1)
                #expect(try await rig.on().expiresAt == nil)
                let witnesses = try await rig.sandbox.watching {
                    // The old deadline has to pass for a test that nothing happens then.
                    try await Task.sleep(until: end)
                }
                #expect(witnesses.sawOnlyTheApp, "\(witnesses)")
                #expect(try await rig.status().state == "on")
                #expect(try await rig.on().changed == false)
            }
        }

        @Test func aDeadlineThatPassesWithoutADaemonIsSeenByTheNext() async throws {
            try await Rig.with { rig in
                try await rig.sandbox.install(.iptables)
                let before = try await rig.sandbox.rules
                try await rig.on(ttl: 1)
                #expect(try await rig.daemon.terminate() == .code(0))
                try await eventually("the sidecar answers again") { try await rig.sandbox.paths == .sidecar }
                try await rig.start()
                try await eventually("the rules are gone") { try await rig.sandbox.rules == before }
                #expect(try await rig.list() == [])
            }
        }

        @Test(arguments: ["0", "-1", "1.5", "\"10\"", "true", "3155760001", "9223372036854775808"])
        func aTimeThatIsNoneIsRefused(_ ttl: String) async throws {
            try await Rig.with { rig in
                let answer = try await rig.daemon.call(
                    """
                    {"jsonrpc":"2.0","id":1,"method":"bypass",\
                    "params":{"netns":"\(rig.sandbox.pod)","state":"on","ttl":\(ttl)}}
                    """)
                #expect(answer.contains("-32602") && answer.contains("ttl"), "\(answer)")
                #expect(try await rig.sandbox.rules.isEmpty)
            }
        }
    }
}
