import RootTestSupport
import StrictJSON
import Testbed
import Testing

extension EndToEndTests {
    /// `kmesh-bypassctl doctor`.
    @Suite struct DoctorTests {
        private static func run(_ rig: Rig, _ words: String...) async throws -> (code: Int, text: String) {
            // What it says counts also where it ends with 1.
            let command = ([rig.controlTool, "doctor", "--bpffs", rig.options.bpffs, "--socket", rig.socket] + words)
                .joined(separator: " ")
            let output = try await rig.testbed.run(["sh", "-c", command + "; echo $?"], in: .host)
            let lines = output.split(separator: "\n")
            return (Int(lines.last ?? "") ?? -1, lines.dropLast().joined(separator: "\n"))
        }

        @Test func whereAllIsWellItSaysSo() async throws {
            try await Rig.with { rig in
                try await rig.on()
                let (code, text) = try await Self.run(rig)
                #expect(code == 0, "\(text)")
                for word in ["kernel", "btf", "bpffs", "pins", "privileges", "policy", "units", "daemon", "leftovers"] {
                    #expect(text.contains("ok  \(word)"), "\(word) in \(text)")
                }
                #expect(text.contains("bypassed namespaces: 1"), "\(text)")
                let (_, json) = try await Self.run(rig, "--json")
                let findings = try rig.lines(json + "\n").first?.object?["findings"]?.array ?? []
                #expect(findings.count >= 9 && findings.allSatisfy { $0.object?["verdict"] == "ok" }, "\(json)")
            }
        }

        @Test func whatWasLeftBehindIsFoundAndTakenAway() async throws {
            try await Rig.with { rig in
                try await rig.testbed.install(.iptables)
                let before = try await rig.testbed.rules
                try await rig.on()
                try await rig.loseEverything()
                let (code, text) = try await Self.run(rig)
                #expect(code == 1)
                let finding = "/run/netns/\(rig.testbed.pod): rules of no bypass in ip nat PREROUTING, ip nat OUTPUT"
                #expect(text.contains(finding) && text.contains("doctor --repair"), "\(text)")
                #expect(text.contains("problem  daemon") && text.contains(rig.socket), "\(text)")
                #expect(text.contains("no matcher of this version"), "\(text)")

                let (_, repaired) = try await Self.run(rig, "--repair")
                #expect(repaired.contains("\(rig.testbed.pod) is as it was without a bypass"), "\(repaired)")
                #expect(repaired.contains("ok       leftovers"), "\(repaired)")
                #expect(try await rig.testbed.rules == before)
                #expect(try await rig.testbed.ways == .sidecar)
            }
        }

        @Test func anEntryOfANamespaceThatHasGoneIsFoundAndTakenAway() async throws {
            try await Rig.with { rig in
                try await rig.testbed.withNamespace { name in
                    let on = try await rig.on(name)
                    try rig.daemon.kill(9)
                    _ = try await rig.daemon.exit()
                    try await rig.testbed.run(["ip", "netns", "delete", name], in: .host)
                    #expect(try await Self.run(rig).text.contains("an entry of namespace \(on.inode), which has gone"))
                    #expect(try await Self.run(rig, "--repair").text.contains("entry of namespace \(on.inode) is gone"))
                    #expect(try await rig.entries == 0)
                }
            }
        }

        @Test func aDaemonThatRunsIsNotDisturbed() async throws {
            try await Rig.with { rig in
                try await rig.testbed.install(.iptables)
                try await rig.on()
                let (code, text) = try await Self.run(rig, "--repair")
                #expect(code == 0 && text.contains("systemctl restart"), "\(text)")
                #expect(try await rig.status().state == "on")
            }
        }

        @Test func whoIsNotRootIsToldWhatCannotBeSeen() async throws {
            try await Rig.with { rig in
                try await rig.withUsers(operators: [], others: ["stranger"]) { users in
                    let name = try #require(users["stranger"]).name
                    let command = ["runuser", "--user", name, "--", rig.controlTool, "doctor", "--socket", rig.socket]
                    let text = try await rig.testbed.run(
                        ["sh", "-c", command.joined(separator: " ") + "; true"], in: .host)
                    #expect(text.contains("unknown  leftovers") && text.contains("run it as root"), "\(text)")
                }
            }
        }
    }
}
