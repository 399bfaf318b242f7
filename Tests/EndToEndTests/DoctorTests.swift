import MeshSandbox
import StrictJSON
import TestSupport
import Testing

extension EndToEndTests {
    /// `kmesh-bypassctl doctor`.
    @Suite struct DoctorTests {
        private static func run(_ rig: Rig, _ words: String...) async throws -> (code: Int, text: String) {
            // What it says counts also where it ends with 1.
            let command = ([rig.controlTool, "doctor", "--bpffs", rig.options.bpffs, "--socket", rig.socket] + words)
                .joined(separator: " ")
            let output = try await rig.sandbox.run(["sh", "-c", command + "; echo $?"], in: .host)
            let lines = output.split(separator: "\n")
            return (Int(lines.last ?? "") ?? -1, lines.dropLast().joined(separator: "\n"))
        }

        @Test func whereAllIsWellItSaysSo() async throws {
            try await Rig.with { rig in
                try await rig.sandbox.install(.iptables)
                try await rig.on(ttl: 600)
                let (code, text) = try await Self.run(rig)
                #expect(code == 0, "\(text)")
                let checks = [
                    "kernel", "btf", "bpffs", "pins", "privileges", "policy", "units", "daemon", "bypasses",
                    "leftovers",
                ]
                for word in checks {
                    #expect(text.contains("ok  \(word)"), "\(word) in \(text)")
                }
                #expect(text.contains("bypassed namespaces: 1"), "\(text)")
                let (_, json) = try await Self.run(rig, "--json")
                let findings = try rig.lines(json + "\n").first?.object?["findings"]?.array ?? []
                #expect(findings.count >= 9 && findings.allSatisfy { $0.object?["verdict"] == "ok" }, "\(json)")
            }
        }

        @Test func bypassesThatNeedAttentionAreFoundEachFaultOnce() async throws {
            try await Rig.with { rig in
                try await rig.sandbox.installOutboundTPROXY()
                try await rig.on()
                try await rig.sandbox.withNamespace { name in
                    try await rig.on(name)
                    let (code, text) = try await Self.run(rig)
                    #expect(code == 0, "\(text)")
                    let findings = text.split(separator: "\n").filter { $0.contains("  bypasses ") }
                    #expect(findings.count == 3, "\(text)")
                    #expect(findings.first?.contains("warning  bypasses") == true, "\(text)")
                    #expect(
                        findings.contains { $0.contains("\(rig.sandbox.pod): ") && $0.contains("sidecar") }, "\(text)")
                    #expect(findings.contains { $0.contains("\(name): nothing redirects") }, "\(text)")
                    #expect(findings.last?.hasSuffix("never expires") == true, "\(text)")
                    #expect(text.contains("--for 15m makes it expire"), "\(text)")
                    let status = try await rig.sandbox.run(
                        ["sh", "-c", "\(rig.controlTool) status --socket \(rig.socket); echo $?"], in: .host)
                    #expect(status.contains("bypassed:   2 namespaces\n") && status.hasSuffix("\n2\n"), "\(status)")
                    #expect(status.split(separator: "\n").count == 6, "\(status)")
                    try await rig.off(name)
                }
            }
        }

        @Test func aDaemonThatDoesNotRunIsOneFinding() async throws {
            try await Rig.withoutDaemon { rig in
                let (_, text) = try await Self.run(rig)
                #expect(text.split(separator: "\n").count { $0.contains(rig.socket) } == 1, "\(text)")
                #expect(!text.contains("  pins "), "\(text)")
                let isWithoutSystemd = text.contains("systemd does not run here")
                #expect(text.contains("  units ") == isWithoutSystemd, "\(text)")
            }
        }

        @Test func aMissingFileSystemIsOneFinding() async throws {
            try await Rig.withoutDaemon { rig in
                let command = [rig.controlTool, "doctor", "--bpffs", rig.folder.path, "--socket", rig.socket]
                let text = try await rig.sandbox.run(["sh", "-c", #""$@"; true"#, "sh"] + command, in: .host)
                #expect(text.contains("problem  bpffs "), "\(text)")
                let lines = text.split(separator: "\n").filter { $0.contains("is not on a BPF file system") }
                #expect(lines.count == 1 && !text.contains("  pins "), "\(text)")
            }
        }

        @Test func whatWasLeftBehindIsFoundAndTakenAway() async throws {
            try await Rig.with { rig in
                try await rig.sandbox.install(.iptables)
                let before = try await rig.sandbox.rules
                try await rig.on()
                try await rig.killAndLoseState()
                let (code, text) = try await Self.run(rig)
                #expect(code == 1)
                let finding = "/run/netns/\(rig.sandbox.pod): orphaned rules in ip nat PREROUTING, ip nat OUTPUT"
                #expect(text.contains(finding) && text.contains("kmesh-bypassd repair"), "\(text)")
                #expect(text.contains("problem  daemon") && text.contains(rig.socket), "\(text)")

                let (_, repaired) = try await Self.run(rig, "--repair")
                #expect(repaired.contains("\(rig.sandbox.pod) is as it was without a bypass"), "\(repaired)")
                #expect(repaired.contains("ok       leftovers"), "\(repaired)")
                #expect(try await rig.sandbox.rules == before)
                #expect(try await rig.sandbox.paths == .sidecar)
            }
        }

        @Test func anEntryOfANamespaceThatHasGoneIsFoundAndTakenAway() async throws {
            try await Rig.with { rig in
                try await rig.sandbox.withNamespace { name in
                    let on = try await rig.on(name)
                    try rig.daemon.kill(9)
                    _ = try await rig.daemon.exit()
                    try await rig.sandbox.run(["ip", "netns", "delete", name], in: .host)
                    #expect(
                        try await Self.run(rig).text.contains("an entry of namespace \(on.inode), which was deleted"))
                    #expect(
                        try await Self.run(rig, "--repair").text.contains("entry of namespace \(on.inode) was removed"))
                    #expect(try await rig.entries == 0)
                }
            }
        }

        @Test func aDaemonThatRunsIsNotDisturbed() async throws {
            try await Rig.with { rig in
                try await rig.sandbox.install(.iptables)
                try await rig.on()
                let (code, text) = try await Self.run(rig, "--repair")
                #expect(code == 0 && text.contains("it removes leftovers when it starts"), "\(text)")
                let hasSystemd = try await rig.sandbox.result(of: ["test", "-d", "/run/systemd/system"]).code == 0
                #expect(text.contains("systemctl") == hasSystemd, "\(text)")
                #expect(try await rig.status().state == "on")
            }
        }

        @Test func usersOtherThanRootSeeWhatCannotBeSeen() async throws {
            try await Rig.with { rig in
                try await rig.withUsers(operators: [], others: ["stranger"]) { users in
                    let name = try #require(users["stranger"]).name
                    // In a folder that everybody may enter, wherever the programs were built.
                    try await rig.sandbox.run(["cp", rig.controlTool, rig.executable, rig.folder.path], in: .host)
                    try await rig.sandbox.run(["chmod", "0755", rig.folder.path], in: .host)
                    let tool = rig.folder.path + "/kmesh-bypassctl"
                    let command = ["runuser", "--user", name, "--", tool, "doctor", "--socket", rig.socket]
                    let text = try await rig.sandbox.run(
                        ["sh", "-c", command.joined(separator: " ") + "; true"], in: .host)
                    #expect(text.contains("unknown  leftovers") && text.contains("run it as root"), "\(text)")
                }
            }
        }

        /// The command that `doctor` runs, and names.
        @Test func theDaemonsBinaryRepairsWithoutTheTool() async throws {
            try await Rig.with { rig in
                try await rig.sandbox.install(.iptables)
                let before = try await rig.sandbox.rules
                try await rig.on()
                try await rig.killAndLoseState()
                let repair = [rig.executable, "repair", "--bpffs", rig.options.bpffs]
                let finding = "/run/netns/\(rig.sandbox.pod): orphaned rules in ip nat PREROUTING, ip nat OUTPUT"
                let script = repair.joined(separator: " ") + " --dry-run --json; echo $?"
                let dry = try await rig.sandbox.run(["sh", "-c", script], in: .host)
                #expect(dry.contains(finding) && dry.hasSuffix("\n1\n"), "\(dry)")
                #expect(try await rig.sandbox.rules != before, "a dry run changes nothing")

                let repaired = try await rig.sandbox.result(of: repair)
                #expect(repaired.code == 0, "\(repaired)")
                #expect(repaired.output.contains("\(rig.sandbox.pod) is as it was without a bypass"), "\(repaired)")
                #expect(try await rig.sandbox.rules == before)
            }
        }

        @Test func repairLeavesARunningDaemonAlone() async throws {
            try await Rig.with { rig in
                try await rig.on()
                let repair = try await rig.sandbox.result(
                    of: [rig.executable, "repair", "--bpffs", rig.options.bpffs])
                #expect(repair.code == 0 && repair.output.contains("it removes leftovers"), "\(repair)")
                #expect(try await rig.status().state == "on")
            }
        }

        /// On a laptop there is nothing that could check a kernel.
        @Test func withoutTheDaemonsBinaryTheKernelIsUnknown() async throws {
            try await Rig.with { rig in
                let alone = rig.folder.path + "/kmesh-bypassctl"
                try await rig.sandbox.run(["cp", rig.controlTool, alone], in: .host)
                let program = ["env", "PATH=/usr/bin:/bin", alone]
                let command = program + ["doctor", "--bpffs", rig.options.bpffs, "--socket", rig.socket]
                let ending = try await rig.sandbox.result(of: command)
                #expect(ending.code == 0 && ending.output.contains("unknown  kernel"), "\(ending)")
                #expect(ending.output.contains("ok       daemon"), "\(ending)")
                let demo = try await rig.sandbox.result(of: program + ["demo"])
                #expect(demo.code == 1 && demo.errors.joined().contains("kmesh-bypass-demo"), "\(demo)")
            }
        }
    }
}
