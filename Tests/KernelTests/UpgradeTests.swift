import MeshSandbox
import StrictJSON
import TestSupport
import Testing

extension KernelTests {
    /// A daemon that finds the matcher of another version, or none where there was one.
    @Suite struct UpgradeTests {
        /// Replaces the map by one of an earlier version's layout, with the same entry: so many bytes of it.
        private static func putOldMap(_ rig: Rig, size: Int) async throws {
            let sandbox = rig.sandbox
            let value = try await rig.entry(of: sandbox.pod)
            let old = rig.options.bpffs + "/old"
            try await sandbox.run(
                [
                    "bpftool", "map", "create", old, "type", "hash", "key", "8", "value", "\(size)", "entries", "16384",
                    "name", "bypassed_netns", "flags", "1",
                ], in: .host)
            try await sandbox.run(
                ["bpftool", "map", "update", "pinned", old, "key"] + rig.key(of: sandbox.pod) + ["value"]
                    + value.prefix(size), in: .host)
            try await sandbox.run(["mv", old, rig.mapPin], in: .host)
        }

        /// The number of the map that is pinned.
        private static func map(_ rig: Rig) async throws -> Int {
            let maps = try await rig.sandbox.run(["bpftool", "map", "show", "pinned", rig.mapPin], in: .host)
            return Int(maps.prefix { $0 != ":" }) ?? 0
        }

        /// The first version's value had 16 bytes, the second one's 24.
        @Test(arguments: zip(MeshSandbox.Mesh.allCases, [16, 24, 16, 24]))
        func aMapOfAnotherLayoutIsTakenOverAndTheRulesSwapped(_ mesh: MeshSandbox.Mesh, _ size: Int) async throws {
            try await Rig.with { rig in
                try await rig.sandbox.install(mesh)
                let before = try await rig.sandbox.rules
                let on = try await rig.on(ttl: 3600, owner: "alice")
                let oldMap = try await Self.map(rig)
                let witnesses = try await rig.sandbox.watching {
                    #expect(try await rig.daemon.terminate() == .code(0))
                    try await Self.putOldMap(rig, size: size)
                    try await rig.start()
                    try await eventually("no rule asks the old map any more") {
                        try await rig.sandbox.result(of: ["bpftool", "map", "show", "id", "\(oldMap)"]).code != 0
                    }
                }
                #expect(witnesses.sawOnlyTheApp, "\(witnesses)")
                let status = try await rig.status()
                #expect(status.state == "on" && status.effective && status.owner == "alice")
                #expect(status.expiresAt ?? "" >= on.expiresAt ?? "?" && status.generation == on.generation)
                #expect(try await Self.map(rig) != oldMap)
                try await rig.off()
                #expect(try await rig.sandbox.rules == before)
                #expect(try await rig.sandbox.paths == .sidecar)
            }
        }

        @Test func rulesThatAskAnotherProgramAreSwapped() async throws {
            try await Rig.with { rig in
                try await rig.sandbox.install(.iptables)
                let on = try await rig.on(only: ["ports": [8080]])
                #expect(try await rig.daemon.terminate() == .code(0))
                try await rig.ageRules(of: [rig.sandbox.pod])
                let witnesses = try await rig.sandbox.watching {
                    try await rig.start()
                    try await eventually("the rules are others") {
                        // The guard is a new table, which begins to count again.
                        let rules = try await Set(rig.status().rules.filter { !$0.hasPrefix("inet") })
                        return rules.count == 4 && rules.isDisjoint(with: on.rules)
                    }
                }
                #expect(witnesses.sawOnlyTheApp, "\(witnesses)")
                #expect(try await rig.on(only: ["ports": [8080]]).changed == false)
                try await rig.off()
                #expect(try await Leftovers.scan(rig.sandbox.pod) == [])
            }
        }

        /// The pins are lost while no daemon runs: the rules go on asking a map that no one can reach. What is left to know
        /// of is the records.
        @Test func afterTheMapWasLostTheRecordsSayWhatIsOn() async throws {
            try await Rig.with { rig in
                try await rig.sandbox.install(.iptables)
                let on = try await rig.on(direction: "outbound", ttl: 3600, owner: "alice")
                let witnesses = try await rig.sandbox.watching([.outbound]) {
                    try rig.daemon.kill(9)
                    _ = try await rig.daemon.exit()
                    try await rig.sandbox.run(["rm", rig.pin, rig.mapPin], in: .host)
                    try await rig.start()
                    try await eventually("it is on again") { try await rig.list().map(\.state) == ["on"] }
                }
                #expect(witnesses.sawOnlyTheApp, "\(witnesses)")
                let status = try await rig.status()
                #expect(status.direction == "outbound" && status.owner == "alice")
                #expect(status.generation == on.generation && status.since == on.since)
                #expect(status.expiresAt ?? "" >= on.expiresAt ?? "?")
                try await rig.off()
                #expect(try await rig.sandbox.paths == .sidecar)
                #expect(try await Leftovers.scan(rig.sandbox.pod) == [])
            }
        }

        /// Map and records are both lost: no one knows that there was a bypass, and the rules ask a map that no one can reach.
        @Test func rulesThatNobodyKnowsOfAreTakenAway() async throws {
            try await Rig.with { rig in
                try await rig.sandbox.install(.iptables)
                let before = try await rig.sandbox.rules
                try await rig.on()
                try await rig.killAndLoseState()
                #expect(try await rig.sandbox.paths == .app)
                try await rig.start()
                try await eventually("the rules are gone") { try await rig.sandbox.rules == before }
                #expect(try await rig.sandbox.paths == .sidecar)
                #expect(try await rig.list() == [])
            }
        }

        /// Another daemon's bypass is none of this one's.
        @Test func rulesThatAskAnotherMatcherStay() async throws {
            try await Rig.with { rig in
                try await rig.sandbox.install(.iptables)
                try await rig.on()
                let rules = try await rig.sandbox.rules
                try await BPFFileSystem.with { other in
                    let arguments = ["--policy", rig.policyFile]
                    let daemon = try await DaemonProcess.start(
                        .init(
                            executable: rig.executable, socket: rig.folder.path + "/other", bpffs: other.path,
                            stateDirectory: rig.folder.path + "/other-state", arguments: arguments))
                    try await daemon.searchForLeftovers()
                    let off = #"{"jsonrpc":"2.0","id":1,"method":"bypass","params":["\#(rig.sandbox.pod)","off"]}"#
                    #expect(try await daemon.call(off).contains(#""changed":false"#))
                    #expect(try await daemon.terminate() == .code(0))
                }
                #expect(try await rig.sandbox.rules == rules)
                #expect(try await rig.status().state == "on")
            }
        }
    }
}
