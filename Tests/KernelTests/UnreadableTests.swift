import Linux
import MeshSandbox
import SystemPackage
import TestSupport
import Testing

extension KernelTests {
    /// What cannot be read may be anything: it is reported, and no bypass is called effective.
    @Suite struct UnreadableTests {
        private static let redirect = "-A OUTPUT -p tcp --dport 8080 -j REDIRECT --to-ports 15001"

        /// Has a network namespace of another user's user namespace for the time that `body` runs, as pods with
        /// `hostUsers: false` have, with a redirect by iptables-legacy in it.
        private static func withUsersNamespace(_ rig: Rig, _ body: (_ netns: String) async throws -> Void) async throws
        {
            let start = """
                setpriv --reuid=65534 --regid=65534 --clear-groups unshare -Ur unshare -n sleep 300 >/dev/null 2>&1 &
                while [ "$(readlink /proc/$!/exe)" != "$(realpath "$(command -v sleep)")" ]; do
                    kill -0 $! || exit
                    sleep 0.01
                done
                echo $!
                """
            let pid = try await rig.sandbox.run(["bash", "-c", start], in: .host).filter(\.isNumber)
            try await scoped {
                let enter = ["nsenter", "--net=/proc/\(pid)/ns/net"]
                let rule = redirect.split(separator: " ").map(String.init)
                try await rig.sandbox.run(enter + ["iptables-legacy", "-t", "nat"] + rule, in: .host)
                let owner = enter + ["stat", "--format=%u", "/proc/thread-self/net/ip_tables_names"]
                #expect(try await rig.sandbox.run(owner, in: .host) == "65534\n")
                try await body("pid:\(pid)")
            } cleanUp: {
                try await rig.sandbox.run(["kill", pid], in: .host)
            }
        }

        @Test func aRedirectInAnotherUsersNamespaceIsSeen() async throws {
            try await Rig.with { rig in
                try await Self.withUsersNamespace(rig) { netns in
                    let on = try await rig.on(netns)
                    #expect(on.effective && on.codes == [], "\(on)")
                    let status = try await rig.status(netns)
                    #expect(status.effective && status.codes == [], "\(status)")
                    try await rig.off(netns)
                }
            }
        }

        @Test func withoutTheCapabilityItIsNotKnown() async throws {
            try await Rig.withoutDaemon { rig in
                try await rig.start(launcher: UnitCapabilities.launcher(without: "dac_read_search"))
                try await Self.withUsersNamespace(rig) { netns in
                    for answer in [try await rig.on(netns), try await rig.status(netns)] {
                        #expect(
                            answer.state == "on" && !answer.effective && Set(answer.codes) == ["unreadable"],
                            "\(answer)")
                        #expect(answer.warnings.first?.message.contains("CAP_DAC_READ_SEARCH") == true, "\(answer)")
                    }
                    try await rig.off(netns)
                }
            }
        }

        /// The capability is there for some files of others in proc, and only while they are read.
        @Test func itsThreadsDoNotKeepTheCapability() async throws {
            try await Rig.with { rig in
                try await Self.withUsersNamespace(rig) { netns in
                    try await rig.status(netns)
                    // The thread of the connection may end meanwhile.
                    let read = "cat /proc/\(try rig.daemon.pid)/task/*/status || true"
                    let lines = try await rig.sandbox.run(["sh", "-c", read], in: .host).split(separator: "\n")
                    let effective = lines.filter { $0.hasPrefix("CapEff") }.compactMap { Int($0.suffix(16), radix: 16) }
                    let permitted = lines.filter { $0.hasPrefix("CapPrm") }.compactMap { Int($0.suffix(16), radix: 16) }
                    let capability = 1 << 2
                    #expect(effective.count > 5 && effective.allSatisfy { $0 & capability == 0 })
                    #expect(permitted.allSatisfy { $0 & capability != 0 })
                }
            }
        }

        @Test(arguments: ["open /proc/thread-self/net/ip", "read /proc/thread-self/net/ip", "getsockopt IPT_SO_GET"])
        func anErrorIsNotTakenForNoTables(_ operation: String) async throws {
            try await Rig.withoutDaemon { rig in
                let faults = try Faults(in: rig.folder.path)
                try await rig.start(environment: faults.environment)
                try await rig.sandbox.iptables(Self.redirect, tool: "iptables-legacy")
                faults.plan.arm(.fail(.ioError), at: operation, times: 1000)
                let on = try await rig.on()
                #expect(on.state == "on" && !on.effective && on.codes.contains("unreadable"), "\(on)")
                #expect(!on.codes.contains("no-interception"), "\(on)")
                faults.plan.disarm()
                #expect(try await rig.status().effective)
            }
        }

        /// 100,000 rules are more than are read.
        @Test func aTableTooLargeToJudgeIsNotKnown() async throws {
            try await Rig.with { rig in
                let rule = "-A OUTPUT -p tcp -m tcp --dport 9 -j RETURN\n"
                let rules = "*nat\n" + String(repeating: rule, count: 100_000) + "COMMIT\n"
                try await rig.sandbox.run(["iptables-legacy-restore"], in: .pod, input: rules)
                let began = ContinuousClock.now
                let on = try await rig.on()
                #expect(on.state == "on" && !on.effective && on.codes == ["unreadable"], "\(on)")
                #expect(ContinuousClock.now - began < .seconds(2))
                try await rig.off()
                try await rig.sandbox.run(["iptables-legacy", "-t", "nat", "-F"], in: .pod)
            }
        }
    }
}
