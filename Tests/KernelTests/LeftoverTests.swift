import JSONRPC
import Linux
import MeshSandbox
import StrictJSON
import SystemPackage
import TestSupport
import Testing

extension KernelTests {
    /// The kernel does not let the daemon remove what is in a namespace. Off is off all the same.
    @Suite struct LeftoverTests {
        /// How a bypass ends.
        enum Verb: String, CaseIterable {
            case off, clear, expiry

            func turnOn(_ rig: Rig) async throws {
                if self == .expiry { try await rig.on(ttl: 2) } else { try await rig.on() }
            }

            func end(_ rig: Rig) async throws {
                switch self {
                case .off:
                    let off = try await rig.off()
                    #expect(off.state == "off" && off.changed == true && off.codes == ["leftover"], "\(off)")
                    #expect(off.warnings.first?.message.contains("table inet kmesh_bypass") == true, "\(off)")
                case .clear:
                    let cleared = try await rig.call("clear")
                    #expect(cleared.object?["failed"]?.array == [], "\(cleared)")
                case .expiry:
                    try await eventually("it has expired") { try await rig.call("info").object?["bypassed"] == 0 }
                }
            }
        }

        private static let list = ["iptables", "-t", "nat", "-S", "OUTPUT"]

        /// As a pod can: the guard's table is replaced by one that belongs to a process and is closed to others.
        private static func whileGuardIsOwned(_ rig: Rig, _ body: () async throws -> Void) async throws {
            try await rig.sandbox.run(["nft", "delete", "table", "inet", "kmesh_bypass"], in: .pod)
            try await rig.sandbox.owning("table(1, b'kmesh_bypass', 2)", in: rig.sandbox.pod, body)
        }

        private static func expectOff(_ rig: Rig) async throws {
            #expect(try await rig.sandbox.paths == .sidecar)
            #expect(try await rig.entries == 0)
            #expect(try await rig.list() == [])
            #expect(try rig.recordedInodes() == [])
        }

        @Test(arguments: Verb.allCases)
        func aBypassEndsThoughTheGuardBelongsToAProcess(_ verb: Verb) async throws {
            try await Rig.with { rig in
                try await rig.sandbox.install(.iptables)
                let before = try await rig.sandbox.run(Self.list, in: .pod)
                try await verb.turnOn(rig)
                #expect(try await rig.sandbox.paths == .app)
                try await Self.whileGuardIsOwned(rig) {
                    try await verb.end(rig)
                    try await Self.expectOff(rig)
                    let status = try await rig.status()
                    #expect(status.state == "off" && status.codes == ["leftover"], "\(status)")
                    // What stands in other tables is removed.
                    #expect(try await rig.sandbox.run(Self.list, in: .pod) == before)
                    // `on` fails, and the message says what is in the way.
                    let message = try await rig.message("bypass", [.string(rig.sandbox.pod), "on"])
                    #expect(message?.contains("kmesh_bypass") == true, "\(message ?? "it went well")")
                    #expect(message?.contains("belongs to another process") == true, "\(message ?? "it went well")")
                    try await Self.expectOff(rig)

                    try rig.daemon.kill(9)
                    _ = try await rig.daemon.exit()
                    try await rig.start()
                    try await rig.daemon.searchForLeftovers()
                    try await Self.expectOff(rig)
                }
                // The kernel has removed the table with its owner. A person does not have to wait for the next attempt.
                try await rig.sandbox.run(["nft", "add", "table", "ip", "other"], in: .pod)
                #expect(try await rig.off().codes == [])
                #expect(try await rig.status().codes == [])
                #expect(try await Leftovers.scan(rig.sandbox.pod) == [])
            }
        }

        @Test func aSecondOffTriesAgain() async throws {
            try await Rig.with { rig in
                let before = try await rig.sandbox.ruleset()
                try await rig.on()
                try await Self.whileGuardIsOwned(rig) {
                    for _ in 0..<2 {
                        let off = try await rig.off()
                        #expect(off.codes == ["leftover"])
                    }
                }
                try await rig.sandbox.run(["nft", "add", "table", "ip", "other"], in: .pod)
                try await rig.sandbox.run(["nft", "delete", "table", "ip", "other"], in: .pod)
                #expect(try await rig.off().codes == [])
                #expect(try await rig.sandbox.ruleset() == before)
            }
        }

        /// Where iptables' table has been replaced by one that belongs to a process, nothing of ours is left in it.
        @Test(arguments: [(2, "ip"), (10, "ip6")])
        func aBypassEndsThoughTheNatTableBelongsToAProcess(_ number: Int, _ family: String) async throws {
            try await Rig.with { rig in
                try await rig.sandbox.install(.nftables)
                try await rig.on()
                try await rig.sandbox.run(["nft", "delete", "table", family, "nat"], in: .pod)
                try await rig.sandbox.owning("table(\(number), b'nat', 2)", in: rig.sandbox.pod) {
                    let off = try await rig.off()
                    #expect(off.state == "off" && off.changed == true && off.codes == [], "\(off)")
                    try await Self.expectOff(rig)
                    #expect(try await rig.call("clear").object?["failed"]?.array == [])
                }
            }
        }

        /// A chain that others jump to cannot be deleted (EBUSY).
        @Test func whatIsInUseIsRemovedLater() async throws {
            try await Rig.with(["--check-interval", "1"]) { rig in
                try await rig.sandbox.install(.iptables)
                try await rig.on()
                let table = "inet kmesh_bypass"
                try await rig.sandbox.run(
                    ["nft", "-f", "-"], in: .pod,
                    input: """
                        delete chain \(table) output
                        add chain \(table) output
                        add chain \(table) foreign
                        add rule \(table) foreign jump output

                        """)
                let off = try await rig.off()
                #expect(off.state == "off" && off.codes == ["leftover"], "\(off)")
                #expect(off.warnings.first?.message.contains("\(table) output") == true, "\(off)")
                try await Self.expectOff(rig)
                try await rig.sandbox.run(["nft", "flush", "chain", "inet", "kmesh_bypass", "foreign"], in: .pod)
                try await eventually("it is removed", within: .seconds(8)) {
                    try rig.daemon.standardError.contains("leftovers of an ended bypass removed")
                }
                #expect(try await rig.status().codes == [])
                let left = try await rig.sandbox.run(["nft", "list", "table", "inet", "kmesh_bypass"], in: .pod)
                #expect(left.contains("chain foreign") && !left.contains("chain output"), "\(left)")
                try await rig.sandbox.run(["nft", "delete", "table", "inet", "kmesh_bypass"], in: .pod)
            }
        }

        /// Whatever the kernel answers to the removal, and whatever cannot be read.
        @Test(arguments: [
            ("nf_tables batch", Errno.notPermitted), ("nf_tables batch", .resourceBusy),
            ("nf_tables batch", .noMemory), ("send: nf_tables batch", .noBufferSpace),
            ("recvmmsg", .timedOut), ("recvmmsg", .resourceTemporarilyUnavailable), ("send:", .noMemory),
        ])
        func offIsOffWhateverFails(_ operation: String, _ error: Errno) async throws {
            try await Rig.withoutDaemon(Rig.unattended) { rig in
                let faults = try Faults(in: rig.folder.path)
                try await rig.start(environment: faults.environment)
                try await rig.sandbox.install(.iptables)
                for verb in [Verb.off, .clear] {
                    try await rig.on()
                    let isAnswer = operation == "nf_tables batch"
                    faults.plan.arm(isAnswer ? .refuse(error) : .fail(error), at: operation, times: .max)
                    if verb == .off {
                        let off = try await rig.off()
                        // A batch is executed, though the kernel's answer is replaced by an error.
                        #expect(off.state == "off" && off.codes.isEmpty == isAnswer, "\(off)")
                    } else {
                        #expect(try await rig.call("clear").object?["failed"]?.array == [])
                    }
                    #expect(faults.plan.injected > 0)
                    #expect(try await rig.entries == 0)
                    #expect(try await rig.sandbox.paths == .sidecar)
                    faults.plan.disarm()
                    #expect(try await rig.list() == [])
                }
                // By hand at once, without waiting for the next attempt.
                #expect(try await rig.off().codes == [])
                #expect(try await Leftovers.scan(rig.sandbox.pod) == [])
            }
        }

        /// `repair` cleans up what it can, and says what it cannot.
        @Test func repairGoesOn() async throws {
            try await Rig.with { rig in
                try await rig.on()
                try await rig.on(rig.sandbox.peer)
                try await rig.killAndLoseState()
                try await Self.whileGuardIsOwned(rig) {
                    let repair = [rig.executable, "repair", "--bpffs", rig.options.bpffs]
                    let ending = try await rig.sandbox.result(of: repair)
                    #expect(ending.code == 1, "\(ending)")
                    #expect(try await Leftovers.scan(rig.sandbox.peer) == [])
                    let rules = try await rig.sandbox.run(Self.list, in: .pod)
                    #expect(!rules.contains(rig.pin), "\(rules)")
                }
            }
        }
    }
}
