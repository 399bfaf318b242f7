import MeshSandbox
import TestSupport
import Testing

extension KernelTests {
    /// Root in a namespace disturbs the calls for it, and does not delay calls for others.
    @Suite struct HostileNamespaceTests {
        private static let clock = ContinuousClock()

        /// How so many calls ended.
        private struct Calls {
            var failures: [String] = []
            var slowest = Duration.zero

            init(_ count: Int, _ call: () async throws -> Bool) async {
                for _ in 0..<count { await add(call) }
            }

            mutating func add(_ call: () async throws -> Bool) async {
                let began = clock.now
                do {
                    if try await !call() { failures.append("another state") }
                } catch {
                    failures.append("\(error)")
                }
                slowest = max(slowest, clock.now - began)
            }
        }

        @Test func onlyMessagesFromTheKernelAreAccepted() async throws {
            try await Rig.with(Rig.unattended) { rig in
                try await rig.sandbox.withNamespace { hostile in
                    try await rig.sandbox.fill(hostile, rules: 3000)
                    async let spoofed = rig.sandbox.spoof(in: hostile, seconds: 3)
                    var (inside, outside) = (await Calls(0) { true }, await Calls(0) { true })
                    let end = Self.clock.now + .seconds(2)
                    while Self.clock.now < end {
                        await inside.add { try await rig.on(hostile).state == "on" }
                        await inside.add { try await rig.status(hostile).state == "on" }
                        await inside.add { try await rig.off(hostile).state == "off" }
                        await outside.add { try await rig.status().state == "off" }
                    }
                    let (accepted, refused) = try await spoofed
                    #expect(accepted == 0 && refused > 0, "\(accepted) accepted, \(refused) refused")
                    #expect(inside.failures == [] && inside.slowest < .seconds(5), "\(inside)")
                    #expect(outside.failures == [] && outside.slowest < .seconds(1), "\(outside)")
                }
            }
        }

        @Test func aRulesetThatChangesEveryFiveMillisecondsCanBeBypassed() async throws {
            try await Rig.with(Rig.unattended) { rig in
                try await rig.sandbox.withNamespace { hostile in
                    try await rig.sandbox.fill(hostile, rules: 3000)
                    let before = try await rig.sandbox.netlink(RawRuleset.listing, in: hostile)
                    let calls = try await rig.sandbox.changing(hostile, every: .milliseconds(5)) {
                        await Calls(5) {
                            let on = try await rig.on(hostile)
                            // What is not known of this ruleset is not taken for good.
                            return try await rig.off(hostile).state == "off" && on.state == "on"
                                && on.effective != on.codes.contains("unseen")
                        }
                    }
                    #expect(calls.failures == [] && calls.slowest < .seconds(5), "\(calls)")
                    try await rig.sandbox.run(
                        ["sh", "-c", "nsenter --net=/run/netns/\(hostile) nft delete table ip coming || true"],
                        in: .host)
                    #expect(try await rig.sandbox.netlink(RawRuleset.listing, in: hostile) == before)
                }
            }
        }

        /// Nothing that a pod adds makes it take longer to read what a batch is about.
        @Test func manyTablesThatChangeEveryFiveMillisecondsCanBeBypassed() async throws {
            try await Rig.with(Rig.unattended) { rig in
                try await rig.sandbox.withNamespace { hostile in
                    let hook = "type nat hook output priority -90"
                    let tables = (0..<800).map {
                        "table ip t\($0) { chain c { \(hook); tcp dport 1 redirect to :2; }; }\n"
                    }
                    try await rig.sandbox.inside(hostile, ["nft", "-f", "-"], input: tables.joined())
                    let calls = try await rig.sandbox.changing(hostile, every: .milliseconds(5)) {
                        await Calls(3) {
                            let on = try await rig.on(hostile)
                            return try await rig.off(hostile).state == "off" && on.state == "on"
                                && on.effective != on.codes.contains("unseen")
                        }
                    }
                    #expect(calls.failures == [] && calls.slowest < .seconds(10), "\(calls)")
                    print("800 tables, a change every 5 ms: \(calls)")
                }
            }
        }

        @Test func aLargeRulesetThatChangesIsReadAllTheSame() async throws {
            try await Rig.with(Rig.unattended) { rig in
                try await rig.sandbox.withNamespace { hostile in
                    try await rig.sandbox.fill(hostile, rules: 10_000)
                    try await rig.on(hostile)
                    let calls = try await rig.sandbox.changing(hostile, every: .milliseconds(50)) {
                        await Calls(3) {
                            let status = try await rig.status(hostile)
                            return status.state == "on" && status.effective != status.codes.contains("unseen")
                        }
                    }
                    #expect(calls.failures == [] && calls.slowest < .seconds(5), "\(calls)")
                }
            }
        }

        /// The kernel removes an owner's tables with its socket, and counts no new generation for that.
        @Test func tablesThatGoWithTheirOwnerAreNotRemembered() async throws {
            try await Rig.with(Rig.unattended) { rig in
                let pod = rig.sandbox.pod
                let redirect =
                    "table(2, b'own', 2), chain(2, b'own', b'own', b'nat', 3, -150), rule(2, b'own', b'own', REDIRECT)"
                try await rig.sandbox.owning(redirect, in: pod) {
                    let on = try await rig.on()
                    #expect(on.codes == ["earlier-redirect"] && !on.effective, "\(on)")
                    #expect(try await rig.status().codes == ["earlier-redirect"])
                }
                try await eventually("the owner's table is gone") {
                    try await !rig.sandbox.inside(pod, ["nft", "list", "tables"]).contains("own")
                }
                let status = try await rig.status()
                #expect(status.effective && status.codes == ["no-interception"], "\(status)")
            }
        }

        /// What is planned for tables that have gone with their owner is refused, and planned again.
        @Test func aBypassEndsWhereItsTableHasGoneWithAnOwner() async throws {
            try await Rig.with(Rig.unattended) { rig in
                let pod = rig.sandbox.pod
                let before = try await rig.sandbox.rules
                try await rig.on()
                let replaced = "message(2, 0, 1, attribute(1, b'kmesh_bypass')), table(1, b'kmesh_bypass', 2)"
                try await rig.sandbox.owning(replaced, in: pod) {
                    let status = try await rig.status()
                    #expect(status.state == "degraded", "\(status)")
                }
                try await eventually("the owner's table is gone") {
                    try await !rig.sandbox.inside(pod, ["nft", "list", "tables"]).contains("kmesh_bypass")
                }
                #expect(try await rig.off().state == "off")
                #expect(try await rig.sandbox.rules == before)
            }
        }
    }
}
