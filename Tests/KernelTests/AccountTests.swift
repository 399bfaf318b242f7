import Linux
import MeshSandbox
import StrictJSON
import TestSupport
import Testing

extension KernelTests {
    /// A server of accounts that does not answer any more, such as LDAP: who was known stays known, and nothing waits.
    @Suite struct AccountTests {
        private static func isAllowed(_ user: User, _ rig: Rig) async throws -> Bool {
            let line = #"{"jsonrpc":"2.0","id":1,"method":"status","params":["\#(rig.sandbox.pod)"]}"#
            return try await rig.lines(as: user, [line]).first?.object?["result"] != nil
        }

        private static func reload(_ rig: Rig, count: Int) async throws {
            try rig.daemon.kill(1)
            try await eventually("the policy is reloaded") {
                try rig.daemon.standardError.split(separator: "\n").count { $0.contains("policy reloaded") } == count
            }
        }

        @Test func namedGrantsSurviveAReloadWithoutAnswers() async throws {
            try await Rig.withoutDaemon { rig in
                try await rig.withUsers(operators: ["operator"], others: ["alice", "bob"]) { users in
                    let (alice, bob) = (try #require(users["alice"]), try #require(users["bob"]))
                    let member = try #require(users["operator"])
                    try await rig.write(
                        policy: """
                            [[grant]]
                            users = ["\(alice.name)", "\(bob.name)"]
                            groups = ["kmesh"]
                            role = "read"
                            """)
                    let faults = try Faults(in: rig.folder.path)
                    try await rig.start(environment: faults.environment)
                    try await rig.openSocket()
                    faults.plan.arm(.stall, at: "look up", times: .max)
                    for count in 1...3 {
                        try await Self.reload(rig, count: count)
                        for user in [alice, bob, member] {
                            #expect(try await Self.isAllowed(user, rig), "\(user.name) after reload \(count)")
                        }
                    }
                    let log = try rig.daemon.standardError.split(separator: "\n")
                    for name in ["user \(alice.name)", "user \(bob.name)", "group kmesh"] {
                        let said = log.count { $0.contains("does not answer") && $0.contains(name) }
                        #expect(said == 1, "\(name) is mentioned \(said) times")
                    }
                    let threads = try Files.entries(in: "/proc/\(rig.daemon.pid)/task").count
                    #expect(threads < 32, "\(threads) threads")

                    // A name whose answer comes again counts as it says, without another reload.
                    faults.plan.arm(.stall, at: "look up user \(bob.name)", times: .max)
                    #expect(try await Self.isAllowed(alice, rig))
                    try await rig.write(policy: "[[grant]]\nusers = [\"\(alice.name)\"]\nrole = \"read\"\n")
                    try await Self.reload(rig, count: 4)
                    #expect(try await !Self.isAllowed(bob, rig))
                    faults.plan.disarm()
                }
            }
        }

        /// The names that this machine's own files have are known all the same.
        @Test func theDaemonStartsAndRestoresItsSocketWithoutAnswers() async throws {
            try await Rig.withoutDaemon(["--check-interval", "1"]) { rig in
                try await rig.withUsers(operators: ["operator"], others: []) { users in
                    let faults = try Faults(in: rig.folder.path)
                    faults.plan.arm(.stall, at: "look up", times: .max)
                    let began = ContinuousClock.now
                    try await rig.start(environment: faults.environment)
                    #expect(ContinuousClock.now - began < .seconds(9))
                    func access() async throws -> String {
                        try await rig.sandbox.run(["stat", "-c", "%G %a", rig.socket], in: .host)
                    }
                    #expect(try await access() == "kmesh 660\n")
                    try await rig.sandbox.run(["rm", rig.socket], in: .host)
                    try await eventually("the socket is restored") { Files.exists(rig.socket) }
                    try await eventually("it is the group's") { try await access() == "kmesh 660\n" }
                    try await rig.openSocket()
                    #expect(try await Self.isAllowed(try #require(users["operator"]), rig))
                    faults.plan.disarm()
                }
            }
        }
    }
}
