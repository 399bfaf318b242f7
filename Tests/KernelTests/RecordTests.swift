import Linux
import MeshSandbox
import StrictJSON
import TestSupport
import Testing

extension KernelTests {
    /// Whatever happens to the state folder, the daemon starts and serves, and bypasses can be ended.
    @Suite struct RecordTests {
        private static func restart(_ rig: Rig, after change: () async throws -> Void) async throws {
            try rig.daemon.kill(9)
            _ = try await rig.daemon.exit()
            try await change()
            try await rig.start()
        }

        private static func replace(_ member: String, by value: String, _ rig: Rig) async throws {
            try await rig.sandbox.run(
                [
                    "find", rig.options.stateDirectory, "-type", "f", "-exec", "sed", "-i", "-E",
                    "s/\"\(member)\":[0-9]+/\"\(member)\":\(value)/", "{}", "+",
                ], in: .host)
        }

        @Test(arguments: [
            ("deadline", "8000000000000000000"), ("deadline", "\(UInt64.max)"), ("generation", "\(Int.max)"),
            ("cookie", "\(UInt64.max)"), ("uid", "4294967296"),
        ])
        func noNumberInTheLogEndsTheDaemon(_ member: String, _ value: String) async throws {
            try await Rig.with { rig in
                try await rig.sandbox.install(.iptables)
                try await rig.on(ttl: 3600, owner: "alice")
                try await rig.on(rig.sandbox.peer, ttl: 3600)
                try await Self.restart(rig) { try await Self.replace(member, by: value, rig) }
                let daemon = try rig.daemon
                _ = try await rig.list()
                _ = try await rig.subscribe()
                #expect(try await rig.on(ttl: 60).state == "on")
                #expect(try await rig.status().expiresAt != nil)
                #expect(try await rig.off().state == "off")
                #expect(try await rig.sandbox.paths == .sidecar)
                #expect(try rig.daemon.pid == daemon.pid && daemon.usage().threads > 0)
            }
        }

        /// An earlier version copied it from its record. A forgotten bypass is worse than one that has ended.
        @Test(arguments: ["8000000000000000000", "\(UInt64.max)"])
        func aDeadlineInTheMapThatNoTTLGivesHasPassed(_ deadline: String) async throws {
            try await Rig.with { rig in
                try await rig.sandbox.install(.iptables)
                try await rig.on()
                try await Self.restart(rig) {
                    try await rig.sandbox.run(["rm", "-r", rig.options.stateDirectory], in: .host)
                    let number = try #require(UInt64(deadline))
                    let bytes = (0..<8).map { String(number >> ($0 * 8) & 0xff) }
                    let value = try await rig.entry(of: rig.sandbox.pod)
                    try await rig.setEntry(of: rig.sandbox.pod, bytes + value.dropFirst(8))
                }
                try await eventually("it is ended") { try await rig.entries == 0 }
                try await eventually("it says why") { try rig.daemon.standardError.contains("beyond any ttl") }
                #expect(try await rig.list() == [])
                #expect(try await rig.sandbox.paths == .sidecar)
                #expect(try await Leftovers.scan(rig.sandbox.pod) == [])
            }
        }

        /// Without the condition it would be for more connections than was asked for.
        @Test func aConditionOfALaterVersionEndsTheBypassInWords() async throws {
            try await Rig.with { rig in
                try await rig.sandbox.install(.iptables)
                try await rig.on(only: ["ports": [8080]])
                try await Self.restart(rig) {
                    let file = "for file in \(rig.options.stateDirectory)/*; do "
                    let edit = #"sed -i 's/"netns":/"needs":["later"],"netns":/' "$file"; done"#
                    try await rig.sandbox.run(["sh", "-c", file + edit], in: .host)
                    var value = try await rig.entry(of: rig.sandbox.pod)
                    value[24] = "9"
                    try await rig.setEntry(of: rig.sandbox.pod, value)
                }
                try await eventually("it is ended") { try await rig.entries == 0 }
                try await eventually("it says why") {
                    let said = try rig.daemon.standardError
                    return said.contains("a condition that this one does not know")
                        && said.contains("1 records have conditions that only a later version knows")
                }
                #expect(try await rig.list() == [])
                #expect(try await rig.sandbox.paths == .sidecar)
                #expect(try await Leftovers.scan(rig.sandbox.pod) == [])
            }
        }

        /// What the state folder can be, and how it is made usable again.
        enum Obstacle: String, CaseIterable {
            case immutable, readOnly, folder, garbage, file

            func make(_ rig: Rig) async throws {
                let (sandbox, state) = (rig.sandbox, rig.options.stateDirectory)
                switch self {
                case .immutable: try await sandbox.run(["sh", "-c", "chattr +i \(state)/*"], in: .host)
                case .readOnly:
                    try await sandbox.run(["mount", "--bind", state, state], in: .host)
                    try await sandbox.run(["mount", "-o", "remount,bind,ro", state], in: .host)
                case .folder:
                    try await sandbox.run(
                        ["sh", "-c", "for f in \(state)/*; do rm $f; mkdir $f; touch $f/x; done"], in: .host)
                case .garbage:
                    try await sandbox.run(["sh", "-c", "head -c 300000 /dev/urandom > $(ls \(state)/*)"], in: .host)
                case .file: try await sandbox.run(["sh", "-c", "rm -r \(state); touch \(state)"], in: .host)
                }
            }

            func remove(_ rig: Rig) async throws {
                let (sandbox, state) = (rig.sandbox, rig.options.stateDirectory)
                switch self {
                case .immutable: try await sandbox.run(["sh", "-c", "chattr -i \(state)/*"], in: .host)
                case .readOnly: try await sandbox.run(["umount", "--lazy", state], in: .host)
                case .folder: try await sandbox.run(["sh", "-c", "rm -r \(state)/*"], in: .host)
                case .garbage: break
                case .file: try await sandbox.run(["rm", state], in: .host)
                }
            }

            var keepsFromWriting: Bool { self != .garbage }
            var losesRecords: Bool { self != .immutable && self != .readOnly }
        }

        @Test(arguments: Obstacle.allCases)
        func aLogThatCannotBeUsedKeepsNobodyFromEndingBypasses(_ obstacle: Obstacle) async throws {
            try await Rig.with(["--check-interval", "1"]) { rig in
                try await rig.sandbox.install(.iptables)
                try await rig.on(owner: "alice")
                try await rig.on(rig.sandbox.peer)
                try rig.daemon.kill(9)
                _ = try await rig.daemon.exit()
                try await obstacle.make(rig)
                try await scoped {
                    try await rig.start()
                    let list = try await rig.list()
                    #expect(list.map(\.state) == ["on", "on"])
                    let pod = list.first { $0.owner == "alice" }
                    #expect((pod == nil) == obstacle.losesRecords)
                    if obstacle.keepsFromWriting {
                        try await eventually("it is reported") {
                            try await rig.status().codes == ["not-recorded"]
                        }
                        try await eventually("it is logged") {
                            try rig.daemon.standardError.contains("will be forgotten when the daemon restarts")
                        }
                    }
                    #expect(try await rig.off().state == "off")
                    #expect(try await rig.sandbox.paths == .sidecar)
                    let on = try await rig.on(owner: "another")
                    #expect(on.codes == (obstacle.keepsFromWriting ? ["not-recorded"] : []), "\(on)")
                } cleanUp: {
                    try await obstacle.remove(rig)
                }
                try await eventually("it is written as soon as it can be") { try await rig.status().codes == [] }
                try await Self.restart(rig) {}
                #expect(try await rig.status().owner == "another")
            }
        }

        @Test func aStateFolderThatIsRemovedIsMadeAgain() async throws {
            try await Rig.with(["--check-interval", "1"]) { rig in
                try await rig.on(owner: "alice")
                try await rig.sandbox.run(["rm", "-r", rig.options.stateDirectory], in: .host)
                // At once with the next change, else within a round.
                #expect(try await rig.on(rig.sandbox.peer, owner: "another").codes.contains("not-recorded") == false)
                #expect(try rig.recordedInodes().count == 2)
                try await rig.sandbox.run(["rm", "-r", rig.options.stateDirectory], in: .host)
                try await eventually("it is there again", within: .seconds(5)) {
                    (try? rig.recordedInodes().count) == 2
                }
                try await eventually("it is logged") {
                    try rig.daemon.standardError.contains("the record log was missing and is restored")
                }
                try await Self.restart(rig) {}
                #expect(Set(try await rig.list().map(\.owner)) == ["alice", "another"])
            }
        }

        /// The log keeps its name in a folder that has another, so that what is appended to it is found by no daemon.
        @Test func aStateFolderThatIsMovedIsMadeAgain() async throws {
            try await Rig.with(["--check-interval", "1"]) { rig in
                try await rig.on(owner: "alice")
                let folder = rig.options.stateDirectory
                try await rig.sandbox.run(["mv", folder, folder + ".moved"], in: .host)
                try await rig.on(rig.sandbox.peer, owner: "another")
                try await eventually("both records are there again", within: .seconds(5)) {
                    (try? rig.recordedInodes().count) == 2
                }
                try await rig.sandbox.run(["rm", "-r", folder + ".moved"], in: .host)
                try await Self.restart(rig) {}
                #expect(Set(try await rig.list().map(\.owner)) == ["alice", "another"])
            }
        }

        @Test func aSocketThatIsRemovedIsMadeAgain() async throws {
            try await Rig.with(["--check-interval", "1"]) { rig in
                let subscriber = try await rig.subscribe()
                try await rig.sandbox.run(["rm", rig.socket], in: .host)
                try await eventually("clients are answered again", within: .seconds(5)) {
                    (try? await rig.list()) != nil
                }
                // Who was connected has noticed nothing.
                try await rig.on()
                #expect(try await subscriber.next().name == "on")
                try await eventually("it says so") {
                    try rig.daemon.standardError.contains("the socket was missing and is restored")
                }
                #expect(try await rig.daemon.terminate() == .code(0))
                try await rig.sandbox.run(["test", "!", "-e", rig.socket], in: .host)
            }
        }

        /// As many entries as the map has room for, of namespaces that no one has: 8 s before.
        @Test func unknownEntriesDoNotDelayTheFirstAnswer() async throws {
            try await Rig.with { rig in
                try await rig.sandbox.install(.iptables)
                try await rig.on(ttl: 3600, owner: "alice")
                try rig.daemon.kill(9)
                _ = try await rig.daemon.exit()
                try await rig.sandbox.run(["rm", "-r", rig.options.stateDirectory], in: .host)
                let size = try await rig.entry(of: rig.sandbox.pod).count
                let value = Array(repeating: "0", count: size).joined(separator: " ")
                let lines = (1...16_383).map { number in
                    let key = (0..<8).map { String((UInt64(1) << 40 + UInt64(number)) >> ($0 * 8) & 0xff) }
                    return "map update pinned \(rig.mapPin) key \((key).joined(separator: " ")) "
                        + "value \(value)\n"
                }
                let batch = rig.folder.path + "/batch"
                try Files.write(Array(lines.joined().utf8), to: batch)
                try await rig.sandbox.run(["bpftool", "batch", "file", batch], in: .host)
                let clock = ContinuousClock()
                let start = clock.now
                try await rig.start()
                let status = try await rig.status()
                let duration = clock.now - start
                #expect(status.state == "on" && status.expiresAt != nil, "\(status)")
                #expect(duration < .seconds(1.5), "\(duration)")
                // A call about all of them knows all of them; one of them has no record yet, and can be extended all the same.
                #expect(try await rig.extend(ttl: 7200).changed == true)
                #expect(try await rig.list().map(\.inode) == [status.inode])
                try await eventually("the others are removed", within: .seconds(20)) { try await rig.entries == 1 }
            }
        }
    }
}
