import Linux
import MeshSandbox
import StrictJSON
import SystemPackage
import TestSupport
import Testing

extension KernelTests {
    /// What a call has opened in a namespace serves the next call for a moment, and no longer.
    @Suite struct ParkingTests {
        private static let ways = [
            "setns", "open /proc/thread-self/net/ip_tables_names", "open /proc/thread-self/net/ip6_tables_names",
            "read /proc/thread-self/net/ip_tables_names", "socket NETLINK_NETFILTER",
        ]

        private static func isOpen(_ rig: Rig) async throws -> Bool {
            try Descriptors.open(of: rig.daemon.pid).values.contains { $0.hasSuffix("/net/ip_tables_names") }
        }

        /// A rig whose daemon has searched for leftovers, and enters namespaces for calls only.
        private static func withFaults(_ body: (Rig, Faults) async throws -> Void) async throws {
            try await Rig.withoutDaemon(Rig.unattended) { rig in
                let faults = try Faults(in: rig.folder.path)
                try await rig.start(environment: faults.environment)
                try await rig.sandbox.install(.iptables)
                try await rig.daemon.searchForLeftovers()
                try await body(rig, faults)
            }
        }

        @Test func theNextCallNeedNotEnterTheNamespace() async throws {
            try await Self.withFaults { rig, faults in
                // Rules came since the daemon searched: a batch for those before would be refused, and its socket not be kept.
                try await rig.status()
                try await rig.on()
                faults.plan.arm(.fail(.noMemory), at: "setns", times: .max)
                #expect(try await rig.off().state == "off")
                #expect(try await rig.on().effective)
                try await eventually("it has to again") {
                    // A call would take over what is open, and leave it open.
                    while try await Self.isOpen(rig) { try await Task.sleep(for: .milliseconds(10)) }
                    return try await rig.refusal("bypass", .array([.string(rig.sandbox.pod), .string("off")])) != nil
                }
                faults.plan.disarm()
                #expect(try await rig.status().state == "on")
            }
        }

        @Test func norNeedTheCallAfterAList() async throws {
            try await Self.withFaults { rig, faults in
                try await rig.on()
                try await eventually("the namespace is left") { try await !Self.isOpen(rig) }
                _ = try await rig.list()
                faults.plan.arm(.fail(.noMemory), at: "setns", times: .max)
                #expect(try await rig.list().map(\.effective) == [true])
                #expect(try await rig.off().state == "off")
                #expect(faults.plan.injected == 0)
            }
        }

        /// The kernel need not be asked for the generation that a batch leaves.
        @Test func whatACallHasDoneIsNotRead() async throws {
            try await Self.withFaults { rig, faults in
                try await rig.on()
                faults.plan.arm(.fail(.noMemory), at: "recvmmsg: reading", times: .max)
                #expect(try await rig.off().state == "off")
                #expect(try await rig.on().effective)
                #expect(try await rig.off().state == "off")
                #expect(faults.plan.injected == 0)
                // Once another program has changed something, it is read.
                try await rig.sandbox.run(["nft", "add", "table", "ip", "other"], in: .pod)
                #expect(try await rig.refusal("bypass", .array([.string(rig.sandbox.pod), .string("on")])) != nil)
                #expect(faults.plan.injected > 0)
            }
        }

        /// FaultTests do not get there: what was done before has left the namespace open.
        @Test(arguments: [Errno.noMemory, .interrupted, .tooManyOpenFiles])
        func aFailureOnTheWayInChangesNothing(_ error: Errno) async throws {
            try await Self.withFaults { rig, faults in
                for method in ["on", "off"] {
                    for way in Self.ways {
                        try await eventually("the namespace is left") { try await !Self.isOpen(rig) }
                        let before = try await rig.sandbox.paths
                        faults.plan.arm(.fail(error), at: way)
                        let parameters = [JSONValue.string(rig.sandbox.pod), .string(method)]
                        let refusal = try await rig.refusal("bypass", .array(parameters))
                        #expect(faults.plan.injected == 1, "\(way)")
                        faults.plan.disarm()
                        #expect((refusal == nil) == (error == .interrupted), "\(way)")
                        if refusal != nil { #expect(try await rig.sandbox.paths == before, "\(way)") }
                    }
                    _ = method == "on" ? try await rig.on() : try await rig.off()
                }
            }
        }

        @Test func tablesOfIptablesLegacyThatCameAMomentAgoAreSeen() async throws {
            try await Rig.with(Rig.unattended) { rig in
                #expect(try await rig.on().codes == ["no-interception"])
                try await rig.off()
                try await rig.sandbox.install(.iptablesLegacy)
                #expect(try await rig.on().codes == [])
                #expect(try await rig.sandbox.paths == .app)
            }
        }

        @Test func aNamespaceGoesSoonAfterItsLastCall() async throws {
            try await Rig.with(Rig.unattended) { rig in
                let sandbox = rig.sandbox
                try await sandbox.withNamespace { netns in
                    let link = "ip link add parked type veth peer name parked netns /run/netns/\(netns)"
                    try await sandbox.run(["sh", "-c", link], in: .pod)
                    try await rig.on(netns)
                    try await rig.off(netns)
                    try await sandbox.run(["ip", "netns", "delete", netns], in: .host)
                    try await eventually("its interface is gone", within: .seconds(3)) {
                        !(try await sandbox.run(["ip", "-o", "link"], in: .pod)).contains("parked")
                    }
                }
            }
        }
    }
}
