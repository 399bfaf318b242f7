import MeshSandbox
import StrictJSON
import TestSupport
import Testing

extension KernelTests {
    /// Bypasses outlive the daemon.
    @Suite struct RestartTests {
        enum End: String, CaseIterable {
            case asked, killed

            func bring(to daemon: DaemonProcess) async throws {
                switch self {
                case .asked: #expect(try await daemon.terminate() == .code(0), "\(daemon.standardError)")
                case .killed:
                    daemon.kill(9)
                    #expect(try await daemon.exit() == .signal(9))
                }
            }
        }

        @Test(arguments: MeshSandbox.Mesh.allCases, End.allCases)
        func trafficStaysDirectWhileNoDaemonRuns(_ mesh: MeshSandbox.Mesh, _ end: End) async throws {
            try await Rig.with { rig in
                try await rig.sandbox.install(mesh)
                let before = try await rig.sandbox.rules
                try await rig.on()
                let witnesses = try await rig.sandbox.watching {
                    try await end.bring(to: rig.daemon)
                    #expect(try await rig.sandbox.paths == .app)
                    try await rig.start()
                }
                #expect(witnesses.sawOnlyTheApp, "\(witnesses)")
                #expect(try await rig.on().changed == false)
                try await rig.off()
                #expect(try await rig.sandbox.rules == before)
                #expect(try await rig.sandbox.paths == .sidecar)
            }
        }

        @Test func aNamespaceThatGetsTheNumberOfADeadOneStartsClean() async throws {
            try await Rig.with { rig in
                try await rig.on(owner: "the dead one")
                try rig.daemon.kill(9)
                _ = try await rig.daemon.exit()
                // As if the record were of another namespace that had this number.
                let state = rig.options.stateDirectory
                try await rig.sandbox.run(
                    ["find", state, "-type", "f", "-exec", "sed", "-i", "s/\"cookie\":/&9/", "{}", "+"], in: .host)
                try await rig.start()
                let status = try await rig.status()
                #expect(status.state == "off" && status.owner == nil)
                #expect(try await rig.list().isEmpty)
                #expect(try await rig.on().state == "on")
            }
        }

        /// With its records lost, the daemon has only the number of the namespace that was bypassed.
        @Test func aNumberWithoutARecordIsNoReasonToBypassAnotherNamespace() async throws {
            try await Rig.with { rig in
                try await rig.sandbox.install(.iptables)
                try await rig.on()
                try await Self.loseRecords(of: rig)
                // As in another namespace that has the number now.
                try await rig.sandbox.run(["nft", "flush", "ruleset"], in: .pod)
                try await rig.sandbox.install(.iptables)
                try await rig.start()
                try await eventually("it is over") { try await rig.list().isEmpty }
                #expect(try await rig.status().state == "off")
                #expect(try await rig.sandbox.paths == .sidecar)
            }
        }

        /// From then on it is the namespace's bypass, and no other's that gets the number.
        @Test func whatIsFoundWithoutARecordIsKnownByItsNamespace() async throws {
            try await Rig.with(["--check-interval", "1"]) { rig in
                try await rig.on()
                try await Self.loseRecords(of: rig)
                try await rig.start()
                #expect(try await rig.status().state == "on")
                try await eventually("the record has the namespace's number") {
                    try await rig.sandbox.run(["sh", "-c", "cat \(rig.options.stateDirectory)/*"], in: .host)
                        .contains(/"cookie":\d/)
                }
            }
        }

        private static func loseRecords(of rig: Rig) async throws {
            try rig.daemon.kill(9)
            _ = try await rig.daemon.exit()
            try await rig.sandbox.run(["rm", "-r", rig.options.stateDirectory], in: .host)
        }

        @Test(arguments: End.allCases)
        func theNextDaemonKnowsWhoWantedWhat(_ end: End) async throws {
            try await Rig.with { rig in
                let (owner, reason) = ("kubernetes:default/web-0", "„why“ \\ \"")
                try await rig.on(direction: "inbound", ttl: 3600, owner: owner, reason: reason)
                try await rig.on(rig.sandbox.peer)
                let before = try await rig.list()
                #expect(before.map(\.inode) == before.map(\.inode).sorted() && before.count == 2)
                try await end.bring(to: rig.daemon)
                try await rig.start()
                let after = try await rig.list()
                #expect(after.map(Facts.init) == before.map(Facts.init))
                let pod = try #require(after.first { $0.netns == rig.sandbox.pod })
                #expect(pod.owner == owner && pod.reason == reason)
                #expect(pod.setBy.object?["uid"] == 0)
                #expect(pod.state == "on" && pod.direction == "inbound")
                let info = try await rig.call("info")
                #expect(info.object?["bypassed"] == 2)
            }
        }

        /// What a restart must not change. The end of a `ttl` is given to the second, and so may round to the next one.
        private struct Facts: Equatable {
            let texts: [String?]
            let inode: Int
            let rules: [String]
            let hasEnd: Bool

            init(_ answer: BypassAnswer) {
                texts = [
                    answer.netns, answer.state, answer.direction, answer.since, answer.owner, answer.reason,
                    "\(answer.setBy)",
                ]
                inode = answer.inode
                rules = answer.rules
                hasEnd = answer.expiresAt != nil
            }
        }

        @Test func whatWasTurnedOffStaysOff() async throws {
            try await Rig.with { rig in
                try await rig.sandbox.install(.iptables)
                try await rig.on()
                try await rig.off()
                try await End.killed.bring(to: rig.daemon)
                try await rig.start()
                #expect(try await rig.list() == [])
                #expect(try await rig.sandbox.paths == .sidecar)
            }
        }

        /// The state folder is a record, not the switch: without it the kernel still knows what is on.
        @Test func aLostStateFolderLosesNoBypass() async throws {
            try await Rig.with { rig in
                try await rig.sandbox.install(.iptables)
                try await rig.on(owner: "alice")
                try await End.asked.bring(to: rig.daemon)
                try await rig.sandbox.run(["rm", "-r", rig.options.stateDirectory], in: .host)
                try await rig.start()
                let list = try await rig.list()
                #expect(list.map(\.state) == ["on"] && list.map(\.owner) == [nil])
                #expect(try await rig.off().changed == true)
                #expect(try await rig.sandbox.paths == .sidecar)
                #expect(try await Leftovers.scan(rig.sandbox.pod) == [])
            }
        }

        @Test func aSocketIsLeftByNoDaemonThatWasAskedToEnd() async throws {
            try await Rig.with { rig in
                try await End.asked.bring(to: rig.daemon)
                try await rig.sandbox.run(["test", "!", "-e", rig.socket], in: .host)
            }
        }
    }
}
