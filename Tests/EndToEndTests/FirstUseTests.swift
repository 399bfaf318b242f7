import MeshSandbox
import StrictJSON
import TestSupport
import Testing

extension EndToEndTests {
    /// Where a new user of kmesh-bypassctl stumbles.
    @Suite struct FirstUseTests {
        private static func run(_ rig: Rig, _ words: [String]) async throws -> CommandResult {
            try await rig.sandbox.result(of: [rig.controlTool] + words + ["--socket", rig.socket])
        }

        /// What a command prints on standard output, however it ends, and its exit code.
        private static func output(
            _ rig: Rig, _ words: [String], environment: [String] = []
        ) async throws -> (text: String, code: Int) {
            let command = ["env"] + environment + [rig.controlTool] + words + ["--socket", rig.socket]
            let script = #""$@" 2>/dev/null; echo "$?""#
            let lines = try await rig.sandbox.run(["sh", "-c", script, "sh"] + command, in: .host)
                .split(separator: "\n", omittingEmptySubsequences: false).dropLast()
            return (lines.dropLast().map { $0 + "\n" }.joined(), Int(lines.last ?? "") ?? -1)
        }

        @Test func theListFitsTheTerminal() async throws {
            try await Rig.with { rig in
                let reason = String(repeating: "网络 ist kaputt ", count: 12)
                try await rig.on(owner: "kubernetes:shop/cart-7d4b9c-x2x1z", reason: reason)
                for width in [60, 80, 132] {
                    let lines = try await rig.atTerminal(width: width, ["list"], environment: ["NO_COLOR=1"])
                    // Counted by another program than the tool.
                    let columns = try await rig.python(
                        """
                        import sys, unicodedata
                        for line in sys.argv[3:]:
                            print(sum(2 if unicodedata.east_asian_width(c) in 'WF' else 1 for c in line))
                        """, Array(lines.prefix(2))
                    ).map { Int($0) ?? .max }
                    try #require(
                        columns.count == 2 && columns.allSatisfy { $0 <= width }, "\(width): \(columns) \(lines)")
                    #expect(lines[1].contains("…") && lines[0].hasPrefix("NETNS"), "\(lines)")
                }
                let wide = try await rig.atTerminal(width: 60, ["list", "--wide"])
                #expect(wide.joined().contains(reason.dropLast()))
                #expect(try await Self.run(rig, ["list"]).output.contains(reason.dropLast()), "no terminal, no cut")
            }
        }

        @Test func colorsAreForTerminalsThatHaveThem() async throws {
            try await Rig.with { rig in
                try await rig.on()
                for (environment, isColored) in [
                    (["-u", "NO_COLOR", "TERM=xterm"], true), (["-u", "NO_COLOR", "TERM=dumb"], false),
                    (["TERM=xterm", "NO_COLOR=1"], false), (["TERM=xterm", "NO_COLOR="], true),
                ] {
                    let shown = try await rig.atTerminal(width: 100, ["list"], environment: environment)
                    #expect(shown.joined().contains("\u{1B}") == isColored, "\(environment): \(shown)")
                }
            }
        }

        @Test func aPersonAtATerminalIsTheOwner() async throws {
            try await Rig.with { rig in
                let pod = rig.sandbox.pod
                _ = try await rig.atTerminal(width: 80, ["on", pod], environment: ["SUDO_USER=alice"])
                #expect(try await rig.status().owner == "alice")
                #expect(try await Self.run(rig, ["on", pod]).output.contains("set by:     root (uid 0)\n"))
                #expect(try await rig.status().owner == nil, "a script has to say it")
                let long = String(repeating: "x", count: 300)
                _ = try await rig.atTerminal(width: 80, ["on", pod], environment: ["SUDO_USER=\(long)"])
                #expect(try await rig.status().owner == String(long.prefix(256)))
            }
        }

        @Test func aWrongNameComesWithTheRightOne() async throws {
            try await Rig.with { rig in
                let pod = rig.sandbox.pod
                let misspelt = pod.replacing("-pod", with: "-pdo")
                for (name, code, hint) in [
                    (misspelt, 5, "did you mean '\(pod)'?"), ("4711", 5, "pid:4711"),
                    ("9c1d0f3b2a4e", 5, "container:9c1d0f3b2a4e"), ("pod:web-0", 5, "kubectl get pod web-0"),
                    ("pid:x", 64, "pid:NUMBER"),
                ] {
                    let ending = try await Self.run(rig, ["on", name])
                    #expect(ending.code == code && ending.errors.joined().contains(hint), "\(name): \(ending)")
                }
                let command = try await rig.sandbox.result(of: [rig.controlTool, "lst"])
                #expect(command.code == 64 && command.errors.joined().contains("did you mean 'list'?"), "\(command)")
            }
        }

        @Test func aPodsNameIsAskedOfKubectl() async throws {
            try await Rig.with { rig in
                try await PodGroup.with(.systemd, .two, rig.sandbox) { group in
                    let folder = rig.folder.path + "/bin"
                    let script = """
                        mkdir "$1"
                        printf '#!/bin/sh\\n[ "$*" = "get pod web-0 --namespace shop --output jsonpath={.metadata.uid}" ] \
                        && echo \(group.uid) && exit\\necho no such pod >&2; exit 1\\n' > "$1/kubectl"
                        chmod 755 "$1/kubectl"
                        """
                    try await rig.sandbox.run(["sh", "-c", script, "sh", folder], in: .host)
                    let path = ["PATH=\(folder):/usr/sbin:/usr/bin:/sbin:/bin"]
                    try await rig.sandbox.withProcess(in: .pod) { process in
                        try await group.add(process)
                        let on = try await Self.output(rig, ["on", "shop/web-0"], environment: path)
                        #expect(on.code == 0 && on.text.contains("namespace:  pod:\(group.uid) "), "\(on)")
                        #expect(try await rig.status().state == "on")
                    }
                    let other = try await Self.output(rig, ["on", "shop/web-1", "--json"], environment: path)
                    #expect(other.code == 1 && other.text.contains("no such pod"), "\(other)")
                    let none = try await Self.output(
                        rig, ["on", "pod/web-0", "--json"], environment: ["PATH=/nowhere"])
                    #expect(none.code == 1 && none.text.contains("'kubectl get pod web-0 --output"), "\(none)")
                }
            }
        }

        @Test func whatCanBeNamedIsListed() async throws {
            try await Rig.with { rig in
                let (pod, peer) = (rig.sandbox.pod, rig.sandbox.peer)
                try await rig.sandbox.install(.iptables)
                try await PodGroup.with(.systemd, .two, rig.sandbox) { group in
                    try await rig.sandbox.withProcess(in: .pod) { process in
                        try await group.add(process)
                        try await rig.on(direction: "inbound")
                        let json = try rig.lines(try await Self.run(rig, ["namespaces", "--json"]).output)
                        let rows = json.first?.object?["namespaces"]?.array ?? []
                        func row(_ name: String) -> JSONObject? {
                            rows.first { $0.object?["netns"] == .string(name) }?.object
                        }
                        for name in [pod, "pod:\(group.uid)"] {
                            #expect(row(name)?["redirected"] == true, "\(rows)")
                            #expect(row(name)?["state"] == "on" && row(name)?["direction"] == "inbound", "\(rows)")
                        }
                        #expect(row("pod:\(group.uid)")?["pid"] == .number(JSONNumber(process)), "\(rows)")
                        #expect(row(peer)?["redirected"] == false && row(peer)?["state"] == "off", "\(rows)")
                        let table = try await Self.run(rig, ["namespaces"])
                        #expect(table.code == 0 && table.output.hasPrefix("NETNS "), "\(table)")
                        let names = try await Self.run(rig, ["namespaces", "--names"]).output.split(separator: "\n")
                        #expect(names.contains(pod[...]) && names.contains("pod:\(group.uid)"), "\(names)")
                        let zsh = try await Self.output(
                            rig, ["namespaces", "--names"], environment: ["SAP_SHELL=zsh"])
                        #expect(zsh.text.contains("pod\\:\(group.uid)\n"), "\(zsh)")
                    }
                }
                let bypassed = try await Self.run(rig, ["list", "--names"])
                #expect(bypassed.output == pod + "\n", "\(bypassed)")
                for shell in ["bash", "zsh", "fish"] {
                    let script = try await rig.sandbox.result(
                        of: [rig.controlTool, "--generate-completion-script", shell])
                    #expect(script.output.contains("kmesh-bypassctl namespaces --names"), "\(shell)")
                    #expect(script.output.contains("kmesh-bypassctl list --names"), "\(shell)")
                }
            }
        }

        @Test func aUserLearnsNoMoreThanThePolicyAllows() async throws {
            try await Rig.withoutDaemon { rig in
                try await rig.withUsers(others: ["stranger"]) { users in
                    let stranger = try #require(users["stranger"]).name
                    try await rig.start()
                    try await rig.sandbox.install(.iptables)
                    try await rig.on(owner: "me")
                    try await rig.openSocket()
                    try await rig.sandbox.run(["cp", rig.controlTool, rig.folder.path], in: .host)
                    let tool = ["runuser", "--user", stranger, "--", rig.folder.path + "/kmesh-bypassctl"]
                    let command = tool + ["namespaces", "--json", "--socket", rig.socket]
                    let rows =
                        try rig.lines(try await rig.sandbox.run(command, in: .host))
                        .first?.object?["namespaces"]?.array ?? []
                    #expect(rows.contains { $0.object?["netns"] == .string(rig.sandbox.pod) }, "\(rows)")
                    for row in rows {
                        #expect(row.object?["error"] == "permission-denied", "\(row)")
                        #expect(row.object?["redirected"] == .null && row.object?["state"] == .null, "\(row)")
                    }
                    let status = try await rig.sandbox.result(of: tool + ["status", "--socket", rig.socket])
                    #expect(status.code == 4, "\(status)")
                }
            }
        }

        @Test func programsGetErrorsAsJSONToo() async throws {
            try await Rig.with { rig in
                for (words, code, kind) in [
                    (["status", "none-of-these", "--json"], 5, "netns-not-found"),
                    (["on", "/proc/self/ns/net", "--json"], 4, "host-netns-refused"),
                    (["explain", rig.sandbox.pod, "--to", "x", "--json"], 64, "invalid-params"),
                    (["list", "--nonsense", "--json"], 64, "usage"), (["lst", "--json"], 64, "usage"),
                ] {
                    let (text, exit) = try await Self.output(rig, words)
                    let error = try rig.lines(text).first?.object?["error"]?.object
                    #expect(exit == code, "\(words): \(text)")
                    #expect(error?["data"]?.object?["kind"] == .string(kind), "\(words): \(text)")
                    #expect(error?["message"]?.string?.isEmpty == false, "\(words): \(text)")
                }
                let off = ["list", "--json", "--socket", "/run/no-socket-is-here"]
                let none = try await rig.sandbox.run(
                    ["sh", "-c", "\(rig.controlTool) \(off.joined(separator: " ")) 2>/dev/null; echo $?"], in: .host)
                #expect(none.contains("daemon-not-running") && none.hasSuffix("\n3\n"), "\(none)")
            }
        }

        @Test func oneArchiveHasWhatAnIssueNeeds() async throws {
            try await Rig.with { rig in
                let pod = rig.sandbox.pod
                try await rig.sandbox.install(.iptables)
                let comment = "add table ip secrets { comment \"very secret\"; }\n"
                try await rig.sandbox.run(["nft", "-f", "-"], in: .pod, input: comment)
                try await rig.sandbox.withNamespace { other in
                    try await rig.on()
                    try await rig.on(other, owner: "of-another-team")
                    let archive = rig.folder.path + "/report.tar.gz"
                    let support = try await Self.run(
                        rig, ["support", pod, "--output", archive, "--bpffs", rig.options.bpffs])
                    #expect(support.code == 0 && support.output.contains("read it before"), "\(support)")
                    let text = try await rig.sandbox.run(["tar", "-xzOf", archive], in: .host)
                    for word in [
                        pod, "kmesh_bypass", "ISTIO_REDIRECT", "\"findings\"", "\"probes\"", "protocol", "OMITTED",
                    ] {
                        #expect(text.contains(word), "\(word) in \(text)")
                    }
                    for word in [other, "of-another-team", "very secret"] { #expect(!text.contains(word), "\(word)") }
                    let mode = try await rig.sandbox.run(["stat", "-c", "%a", archive], in: .host)
                    #expect(mode == "600\n")
                    try await rig.off(other)
                }
            }
        }
    }
}
