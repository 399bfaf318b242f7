import MeshSandbox
import StrictJSON
import TestSupport
import Testing

extension KernelTests {
    /// Namespaces come and go, pins too.
    @Suite struct LifetimeTests {
        /// Its text is kept for the next caller, but only as long as it is true.
        @Test func infoIsOfThisMoment() async throws {
            try await Rig.with { rig in
                func info(_ member: String) async throws -> Int? {
                    guard case .number(let number) = try await rig.call("info").object?[member] else { return nil }
                    return Int(number.text)
                }
                let began = try #require(try await info("uptimeSeconds"))
                for _ in 0..<3 {
                    try await rig.on()
                    #expect(try await info("bypassed") == 1)
                    try await rig.off()
                    #expect(try await info("bypassed") == 0)
                }
                try await eventually("time goes on") { try await info("uptimeSeconds") ?? 0 > began }
            }
        }

        @Test func aBypassGoesWithItsNamespace() async throws {
            try await Rig.with { rig in
                try await rig.sandbox.withNamespace { name in
                    let on = try await rig.on(name)
                    #expect(try await rig.list().map(\.netns) == [name])
                    try await rig.sandbox.run(["ip", "netns", "delete", name], in: .host)
                    #expect(try await rig.refusal("status", [.string(name)]) == .notFound)
                    #expect(try await rig.refusal("bypass", [.string(name), "off"]) == .notFound)
                    try await eventually("the list drops it") { try await rig.list() == [] }
                    let map = try await rig.sandbox.run(["bpftool", "map", "dump", "pinned", rig.mapPin], in: .host)
                    #expect(map.contains("Found 0 elements") || map == "[]\n", "\(on.inode) is left: \(map)")
                    #expect(try await rig.call("info").object?["bypassed"] == 0)
                }
            }
        }

        /// Nothing of the daemon's may keep a pod's namespace alive, and with it the pod's interfaces.
        @Test(arguments: ["on", "off"])
        func theDaemonHoldsNoNamespace(_ last: String) async throws {
            try await Rig.with { rig in
                let sandbox = rig.sandbox
                try await sandbox.withNamespace { name in
                    try await sandbox.run(
                        ["ip", "link", "add", "inside", "netns", name, "type", "veth", "peer", "name", "outside"],
                        in: .peer)
                    try await rig.on(name)
                    if last == "off" { try await rig.off(name) }
                    try await rig.status(name)
                    try await sandbox.run(["ip", "netns", "delete", name], in: .host)
                    try await eventually("the other end of the namespace's interface goes", within: .seconds(5)) {
                        try await !sandbox.run(["ip", "-brief", "link"], in: .peer).contains("outside")
                    }
                }
            }
        }

        /// Between deletion and the next look a bypass that is gone must not be reported as on.
        @Test func aDaemonThatStartsAfterTheEndOfANamespaceForgetsIt() async throws {
            try await Rig.with { rig in
                try await rig.sandbox.withNamespace { name in
                    try await rig.on(name)
                    try await rig.on()
                    #expect(try await rig.daemon.terminate() == .code(0))
                    try await rig.sandbox.run(["ip", "netns", "delete", name], in: .host)
                    try await rig.start()
                    #expect(try await rig.list().map(\.netns) == [rig.sandbox.pod])
                }
            }
        }

        @Test func aPinThatWasRemovedIsPutBack() async throws {
            try await Rig.with { rig in
                try await rig.sandbox.install(.iptables)
                try await rig.sandbox.run(["rm", rig.pin], in: .host)
                let on = try await rig.on()
                #expect(on.state == "on" && on.effective)
                #expect(try await rig.sandbox.paths == .app)
                try await rig.sandbox.iptables("-C OUTPUT -m bpf --object-pinned \(rig.pin) -j RETURN")

                // And while a bypass is on, whose rules hold the program without its pin.
                try await rig.sandbox.run(["rm", rig.pin], in: .host)
                #expect(try await rig.sandbox.paths == .app)
                #expect(try await rig.on(rig.sandbox.peer).state == "on")
                try await rig.sandbox.iptables("-C OUTPUT -m bpf --object-pinned \(rig.pin) -j RETURN")
                try await rig.off()
                #expect(try await rig.sandbox.paths == .sidecar)
            }
        }

        @Test func aNamespaceWithoutIPv6IsBypassedForIPv4() async throws {
            try await Rig.with { rig in
                let sandbox = rig.sandbox
                try await sandbox.install(.iptables)
                for scope in ["all", "default"] {
                    try await sandbox.run(["sysctl", "-w", "net.ipv6.conf.\(scope).disable_ipv6=1"], in: .pod)
                }
                let before = try await sandbox.rules
                #expect(try await sandbox.whoAnswers(.outbound, .ipv4) == .sidecar)
                let on = try await rig.on()
                #expect(on.state == "on" && on.effective && on.codes == [])
                for direction in MeshSandbox.Direction.allCases {
                    #expect(try await sandbox.whoAnswers(direction, .ipv4) == .app)
                }
                #expect(try await rig.off().state == "off")
                #expect(try await sandbox.rules == before)
                #expect(try await sandbox.whoAnswers(.inbound, .ipv4) == .sidecar)
            }
        }
    }
}
