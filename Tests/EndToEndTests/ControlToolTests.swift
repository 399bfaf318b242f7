import MeshSandbox
import StrictJSON
import TestSupport
import Testing

extension EndToEndTests {
    /// kmesh-bypassctl against the daemon: what it prints, and how it ends.
    @Suite struct ControlToolTests {
        private static func run(_ rig: Rig, _ words: [String]) async throws -> CommandResult {
            try await rig.sandbox.result(of: [rig.controlTool] + words + ["--socket", rig.socket])
        }

        @Test func onAndOffDoWhatTheySay() async throws {
            try await Rig.with { rig in
                let pod = rig.sandbox.pod
                try await rig.sandbox.install(.iptables)
                let on = try await Self.run(rig, ["on", pod, "--owner", "me", "--reason", "a test", "--for", "15m"])
                #expect(on.code == 0, "\(on)")
                #expect(try await rig.sandbox.paths == .app)
                let status = try await rig.status()
                #expect(status.owner == "me" && status.reason == "a test" && status.expiresAt != nil)
                for word in ["on", pod, "me", "a test", "\(status.inode)", "root (uid 0)"] {
                    #expect(on.output.contains(word), "\(word) is missing in \(on.output)")
                }
                #expect(on.output.split(separator: "\n").count { !$0.hasPrefix("warning:") } == 6, "\(on.output)")
                let rules = try await Self.run(rig, ["status", pod, "--rules"])
                #expect(rules.output.contains("ip nat OUTPUT handle"), "\(rules)")
                #expect(!on.output.contains("\u{1b}"), "colors are for terminals")

                #expect(try await Self.run(rig, ["on", pod, "--direction", "inbound"]).code == 0)
                #expect(try await rig.sandbox.paths == .bypassed("inbound"))
                let scoped = try await Self.run(rig, ["on", pod, "--port", "80,8080", "--except-network", "fd89::/16"])
                let words = "only ports 80, 8080, except network fd89::/16"
                #expect(scoped.code == 0 && scoped.output.contains(words), "\(scoped)")
                #expect(try await Self.run(rig, ["list"]).output.contains(words))
                #expect(try await rig.sandbox.whoAnswers(.outbound, .ipv4) == .app)
                #expect(try await rig.sandbox.whoAnswers(.outbound, .ipv6) == .sidecar)
                let off = try await Self.run(rig, ["off", pod])
                #expect(off.code == 0 && off.output.contains("off"), "\(off)")
                #expect(try await rig.sandbox.paths == .sidecar)
                #expect(try await Self.run(rig, ["off", pod]).code == 0)
            }
        }

        @Test(arguments: ["kmesh-bypassd", "kmesh-bypassctl", "kmesh-bypass-demo", "kmesh-bypass-controller"])
        func everyProgramSaysItsVersionAndCommit(_ program: String) async throws {
            let path = try #require(DaemonProcess.builtExecutable(program), "\(program) is not built")
            try await MeshSandbox.with { sandbox in
                let version = try await sandbox.result(of: [path, "--version"])
                #expect(version.code == 0)
                #expect(
                    version.output.contains(#/^[\w-]+ \d+\.\d+\.\d+(-dev)? \(commit \w+(-modified)?\)\n$/#),
                    "\(version)")
                #expect(version.output.hasPrefix(program + " "))
            }
        }

        @Test(
            arguments: [
                "kmesh-bypassctl --help", "kmesh-bypassctl help on", "kmesh-bypassctl --version",
                "kmesh-bypassctl --generate-completion-script bash", "kmesh-bypassd --help", "kmesh-bypassd --version",
                "kmesh-bypass-demo --help", "kmesh-bypass-controller --help", "kubectl-bypass --version",
                "kubectl-bypass help on", "kubectl-bypass --generate-completion-script bash",
            ])
        func whatCannotBeWrittenIsAFailure(_ command: String) async throws {
            let words = command.split(separator: " ").map(String.init)
            let path = try #require(DaemonProcess.builtExecutable(words[0]), "\(words[0]) is not built")
            try await MeshSandbox.with { sandbox in
                let line = ([path] + words.dropFirst()).joined(separator: " ") + " >/dev/full 2>&1 || echo $?"
                let result = try await sandbox.result(of: ["sh", "-c", line])
                #expect(result.output == "1\n", "\(result)")
            }
        }

        @Test func statusListAndInfoShowWhatIs() async throws {
            try await Rig.with { rig in
                let pod = rig.sandbox.pod
                #expect(try await Self.run(rig, ["status", pod]).output.contains("off"))
                try await rig.on(owner: "alice")
                let status = try await Self.run(rig, ["status", pod])
                #expect(status.code == 0 && status.output.contains("no-interception"), "\(status)")
                let list = try await Self.run(rig, ["list"])
                #expect(list.output.contains(pod) && list.output.contains("alice"), "\(list)")
                let info = try await Self.run(rig, ["info"])
                #expect(info.code == 0 && info.output.contains(rig.pin), "\(info)")
            }
        }

        @Test func explainSaysWhereAConnectionGoes() async throws {
            try await Rig.with { rig in
                let (pod, place) = (rig.sandbox.pod, "10.89.0.2:8080")
                try await rig.sandbox.install(.iptables)
                let off = try await Self.run(rig, ["explain", pod, "--to", place])
                #expect(off.code == 0 && off.output.contains("to the sidecar at port 15001, where "), "\(off)")
                #expect(off.output.contains(" listens (traced by the kernel)"), "\(off)")
                #expect(off.output.contains(">  output -100  ip nat ISTIO_REDIRECT"), "\(off)")
                let sidecar = try await Self.run(rig, ["explain", pod, "--to", place, "--uid", "1337"])
                #expect(sidecar.output.contains("directly to port 8080 (worked out from the rules)"), "\(sidecar)")
                let on = try await Self.run(rig, ["on", pod])
                let json = try rig.lines(try await Self.run(rig, ["explain", pod, "--json"]).output)
                #expect(try on.code == 0 && json.map { try ExplainAnswer($0).probes.count } == [6])
                let wrong = try await Self.run(rig, ["explain", pod, "--to", "x"])
                #expect(wrong.code == 64 && !wrong.errors.joined().contains("did you mean"), "\(wrong)")
            }
        }

        @Test func traceShowsConnectionsAsTheyAreMade() async throws {
            try await Rig.with { rig in
                let pod = rig.sandbox.pod
                try await rig.sandbox.install(.iptables)
                let tracing = Task { try await Self.run(rig, ["trace", pod, "--count", "1"]) }
                try await eventually("it traces") { try await rig.sandbox.ruleset().contains("kmesh_bypass_trace") }
                _ = try await rig.sandbox.whoAnswers(.outbound, .ipv4)
                let traced = try await tracing.value
                for word in ["outbound  tcp  10.89.0.1:", " -> 10.89.0.2:8080  sidecar:15001  ip nat ISTIO_REDIRECT"] {
                    #expect(traced.code == 0 && traced.output.contains(word), "\(traced)")
                }
                #expect(traced.output.hasPrefix("new connections of \(pod), for 60 seconds or until there are 1\n"))
                #expect(traced.output.contains("1 connection, 0 left out"), "\(traced)")
                let none = try await Self.run(rig, ["trace", pod, "--for", "1s"])
                let end = "\nno new connection, and older ones are not shown: the time of --for is over\n"
                #expect(none.output.hasSuffix(end), "\(none)")
                let json = try rig.lines(try await Self.run(rig, ["trace", pod, "--for", "1s", "--json"]).output)
                #expect(json.map { $0.object?["event"]?.string } == ["started", "trace-ended"], "\(json)")
                #expect(try await Self.run(rig, ["trace", pod, "--for", "11m"]).code == 64)
            }
        }

        @Test func theExitCodeSaysWhetherAllOfItIsBypassed() async throws {
            try await Rig.with { rig in
                let pod = rig.sandbox.pod
                let empty = try await Self.run(rig, ["on", pod])
                #expect(empty.code == 0 && empty.output.contains("is it the right namespace?"), "\(empty)")
                try await rig.sandbox.installOutboundTPROXY()
                for (direction, code) in [("both", 2), ("outbound", 2), ("inbound", 0)] as [(String, Int)] {
                    let on = try await Self.run(rig, ["on", pod, "--direction", direction])
                    #expect(on.code == code, "\(on)")
                    #expect(try await Self.run(rig, ["status", pod]).code == code)
                    #expect(try await Self.run(rig, ["status", pod, "--json"]).code == code)
                }
                try await rig.on()
                #expect(try await Self.run(rig, ["list"]).code == 0)
                #expect(try await Self.run(rig, ["off", pod]).code == 0)
                #expect(try await Self.run(rig, ["status", pod]).code == 0)
            }
        }

        @Test func scriptsGetTheDaemonsOwnJSON() async throws {
            try await Rig.with { rig in
                let pod = rig.sandbox.pod
                let on = try rig.lines(try await Self.run(rig, ["on", pod, "--json"]).output)
                #expect(try on.map { try BypassAnswer($0).state } == ["on"])
                #expect(try on.map { try BypassAnswer($0).changed } == [true])
                let status = try rig.lines(try await Self.run(rig, ["status", pod, "--json"]).output)
                #expect(status == [try await rig.call("status", [.string(pod)])])
                let list = try rig.lines(try await Self.run(rig, ["list", "--json"]).output)
                #expect(list.first?.object?["bypasses"]?.array == status)
                let info = try rig.lines(try await Self.run(rig, ["info", "--json"]).output)
                #expect(info.first?.object?["protocol"] == 1)
                let off = try rig.lines(try await Self.run(rig, ["off", pod, "--json"]).output)
                #expect(try off.map { try BypassAnswer($0).state } == ["off"])
            }
        }

        @Test func extendGivesMoreTimeAndALateDecisionIsRefused() async throws {
            try await Rig.with { rig in
                let pod = rig.sandbox.pod
                let on = try await rig.on(ttl: 60)
                let extended = try await Self.run(rig, ["extend", pod, "--for", "2h"])
                #expect(extended.code == 0 && extended.output.contains("in 2h"), "\(extended)")
                let late = try await Self.run(rig, ["off", pod, "--if-generation", "\(on.generation)"])
                #expect(late.code == 1 && late.errors.joined().contains("generation"), "\(late)")
                #expect(try await rig.status().state == "on")
                let metrics = try await Self.run(rig, ["metrics"])
                let calls = #"kmesh_bypass_calls_total{method="bypass",result="conflict"} 1"#
                #expect(metrics.output.contains(calls), "\(metrics.output)")
            }
        }

        /// From before a daemon's end to after it.
        @Test func watchShowsWhatIsOnAndWhatChangesAlsoAfterARestart() async throws {
            try await Rig.with { rig in
                let (pod, file) = (rig.sandbox.pod, rig.folder.path + "/watched")
                try await rig.on(owner: "earlier")
                func watched(_ text: String) async throws {
                    try await eventually("\(text) is shown") {
                        try await rig.sandbox.run(["cat", file], in: .host).contains(text)
                    }
                }
                let watch = [rig.controlTool, "watch", "--socket", rig.socket]
                try await rig.sandbox.withBackground(watch, in: .host, output: file) { pid in
                    try await watched("earlier")
                    try await rig.on(direction: "inbound", owner: "me")
                    try await watched("  on  \(pod)  inbound  for me\n")
                    try await rig.sandbox.run(["nft", "flush", "ruleset"], in: .pod)
                    try await watched("  repaired  \(pod)  inbound  for me  after rule-missing")
                    #expect(try await rig.daemon.terminate() == .code(0))
                    try await watched("trying again")
                    try await rig.start()
                    try await eventually("the table comes again") {
                        try await rig.sandbox.run(["cat", file], in: .host).split(separator: "NETNS").count == 2
                    }
                    let off = ["off", pod, "--owner", "you", "--reason", "it works"]
                    #expect(try await Self.run(rig, off).code == 0)
                    try await watched("  off  \(pod)  by root (uid 0)  for you: it works\n")
                    try await rig.on(ttl: 1, owner: "them", reason: "a try")
                    try await watched("  expired  \(pod)  set by root (uid 0)  for them: a try\n")
                    try await rig.sandbox.run(["kill", "-INT", "\(pid)"], in: .host)
                    try await eventually("it ends") {
                        try await rig.sandbox.result(of: ["kill", "-0", "\(pid)"]).code != 0
                    }
                }
            }
        }

        @Test func exitCodesSayWhatWentWrong() async throws {
            try await Rig.with { rig in
                let pod = rig.sandbox.pod
                for (words, code, said) in [
                    (["on", "none-of-these"], 5, "none-of-these"), (["status", "/dev/null"], 5, "/dev/null"),
                    (["on", "/proc/self/ns/net"], 4, "host"), (["off", "pid:\(try rig.daemon.pid)"], 4, "host"),
                    (["on", "a//b"], 64, "netns"), (["explain", pod, "--to", "x"], 64, "to"), (["on"], 64, "netns"),
                    (["on", pod, "--for", "never"], 64, "never"),
                    (["turn", pod], 64, "Usage"),
                ] {
                    let ending = try await Self.run(rig, words)
                    #expect(ending.code == code, "\(words): \(ending)")
                    #expect(ending.errors.joined().contains(said), "\(words): \(ending)")
                    #expect(!ending.errors.joined().contains("Invalid params"), "\(words): \(ending)")
                    #expect(said != "to" || !ending.errors.joined().contains("can be named"), "\(words): \(ending)")
                }
                #expect(try await rig.status().state == "off")
            }
        }

        @Test func withoutADaemonItSaysSo() async throws {
            try await Rig.withoutDaemon { rig in
                let ending = try await Self.run(rig, ["list"])
                #expect(ending.code == 3 && ending.errors.joined().contains(rig.socket), "\(ending)")
                try await rig.start()
                try rig.daemon.kill(9)
                _ = try await rig.daemon.exit()
                #expect(try await Self.run(rig, ["info"]).code == 3, "a socket that a dead daemon left")
            }
        }

        @Test func theEnvironmentNamesTheSocket() async throws {
            try await Rig.with { rig in
                let command = ["env", "KMESH_BYPASSD_SOCKET=\(rig.socket)", rig.controlTool, "info"]
                let ending = try await rig.sandbox.result(of: command)
                #expect(ending.code == 0, "\(ending)")
            }
        }
    }
}
