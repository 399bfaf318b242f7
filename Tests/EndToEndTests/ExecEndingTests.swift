import Linux
import MeshSandbox
import StrictJSON
import TestSupport
import Testing

extension EndToEndTests {
    /// How `exec` and `compare` begin and end: what a terminal does to them, and what is left in every case.
    @Suite struct ExecEndingTests {
        private static func exec(_ rig: Rig, _ words: [String], _ options: [String] = []) -> [String] {
            [rig.controlTool, "exec", rig.sandbox.pod, "--socket", rig.socket] + options + ["--"] + words
        }

        private static func checkNothingIsLeft(_ rig: Rig) async throws {
            #expect(try await rig.status().state == "off")
            try await eventually("the entry is removed") { try await rig.entries == 0 }
            let groups = ["find", "/sys/fs/cgroup", "-name", "kmesh-bypassctl-*"]
            #expect(try await rig.sandbox.run(groups, in: .host) == "")
        }

        @Test func aMisspeltNameComesWithTheRightOneAndLeavesNothing() async throws {
            try await Rig.with { rig in
                let (pod, archive) = (rig.sandbox.pod, rig.folder.path + "/report.tar.gz")
                let misspelt = pod.replacing("-pod", with: "-pdo")
                for words in [
                    ["exec", misspelt, "--json", "--", "true"], ["trace", misspelt, "--json"],
                    ["compare", misspelt, "--to", "10.89.0.2:8080", "--json"],
                    ["support", misspelt, "--output", archive, "--json"], ["explain", misspelt, "--json"],
                ] {
                    let command = ["env", "KMESH_BYPASSD_SOCKET=\(rig.socket)", rig.controlTool] + words
                    let ending = try await rig.sandbox.result(of: command)
                    #expect(ending.code == 5, "\(words): \(ending)")
                    #expect(ending.errors.last?.contains("did you mean '\(pod)'?") == true, "\(words): \(ending)")
                    let script = #""$@" 2>/dev/null; exit 0"#
                    let line = try await rig.sandbox.run(["sh", "-c", script, "sh"] + command, in: .host)
                    let error = try rig.lines(line).first?.object?["error"]?.object
                    #expect(error?["data"]?.object?["kind"] == "netns-not-found", "\(words): \(line)")
                }
                #expect(!Files.exists(archive))
                try await Self.checkNothingIsLeft(rig)
            }
        }

        @Test func theBypassOfACommandIsRenewedWhileItRuns() async throws {
            try await Rig.with { rig in
                try await rig.sandbox.install(.iptables)
                let go = rig.folder.path + "/go"
                let wait = ["sh", "-c", "while [ ! -e \(go) ]; do sleep 0.05; done"]
                async let running = rig.sandbox.result(of: Self.exec(rig, wait, ["--renewal", "1"]))
                do {
                    try await eventually("it is on") { try await rig.status().state == "on" }
                    let first = try await rig.status()
                    try await eventually("it is renewed") { try await rig.status().generation > first.generation }
                    let renewed = try await rig.status()
                    #expect(renewed.expiresAt != first.expiresAt && renewed.cgroup == first.cgroup)
                } catch {
                    Issue.record(error)
                }
                try Files.write([], to: go)
                #expect(try await running == CommandResult(code: 0))
                try await Self.checkNothingIsLeft(rig)
            }
        }

        @Test func whatTheCommandMakesAndLeavesIsNotInTheWay() async throws {
            try await Rig.with { rig in
                try await rig.sandbox.install(.iptables)
                let group =
                    "group=$(sed -n 's/^[^ ]* \\([^ ]*\\) cgroup2 .*/\\1/p' /proc/mounts | head -n 1)"
                    + "$(sed -n s/^0:://p /proc/self/cgroup); "
                let script = "mkdir $group/inner && echo $$ > $group/inner/cgroup.procs && exit 3"
                #expect(try await rig.sandbox.result(of: Self.exec(rig, ["sh", "-c", group + script])).code == 3)
                try await Self.checkNothingIsLeft(rig)
                // What it is given, and what it prints, passes.
                let copied = try await rig.sandbox.result(of: Self.exec(rig, ["cat"]), input: "one\ntwo\n")
                #expect(copied == CommandResult(code: 0, output: "one\ntwo\n"))
                // The name of a program is a part of the reason, which has a limit.
                let program = "/" + String(repeating: "very-long-name/", count: 20) + "x"
                let unknown = try await rig.sandbox.result(of: Self.exec(rig, [program]))
                #expect(unknown.code == 127, "\(unknown)")
                let bare = try await rig.sandbox.result(
                    of: [rig.controlTool, "exec", rig.sandbox.pod, "curl", "-sS", "http://192.0.2.1/"])
                #expect(bare.code == 64 && bare.errors.joined().contains("exec NETNS -- COMMAND"), "\(bare)")
            }
        }

        /// What a process that the command leaves behind connects to, both families, goes to the sidecar again.
        @Test func aProcessThatOutlivesTheCommandIsInTheMesh() async throws {
            let child = """
                import os, socket, sys, time
                folder = sys.argv[1]
                if os.fork(): sys.exit(0)
                os.setsid()
                for number in range(3): os.dup2(os.open(os.devnull, os.O_RDWR), number)
                deadline = time.monotonic() + 20
                while not os.path.exists(folder + "/go") and time.monotonic() < deadline: time.sleep(0.01)
                answers = []
                for place in ("10.89.0.2", "fd89::2"):
                    with socket.create_connection((place, 8080), 5) as connection:
                        answers.append(connection.makefile().readline().strip())
                with open(folder + "/next", "w") as file: file.write(" ".join(answers))
                os.rename(folder + "/next", folder + "/answers")
                """
            try await Rig.with { rig in
                try await rig.sandbox.install(.iptables)
                let folder = rig.folder.path
                let ended = try await rig.sandbox.result(of: Self.exec(rig, ["python3", "-c", child, folder]))
                #expect(ended.code == 0, "\(ended)")
                try await Self.checkNothingIsLeft(rig)
                try Files.write([], to: folder + "/go")
                try await eventually("it has asked") { Files.exists(folder + "/answers") }
                #expect(try Files.text(folder + "/answers") == "sidecar sidecar")
            }
        }

        @Test func aNamespaceMayBeDeletedWhileTheCommandRuns() async throws {
            try await Rig.with { rig in
                try await rig.sandbox.withNamespace { other in
                    let command = [
                        rig.controlTool, "exec", other, "--socket", rig.socket, "--", "ip", "netns", "delete", other,
                    ]
                    let shown = try await rig.sandbox.run(
                        ["sh", "-c", #""$@" 2>&1"#, "sh"] + command, in: .host)
                    #expect(!shown.contains("cannot"), "\(shown)")
                    #expect(!Files.exists("/run/netns/" + other))
                }
                try await Self.checkNothingIsLeft(rig)
            }
        }

        /// Runs a program at a terminal, presses Ctrl-C once its bypass is on, and prints its exit status.
        private static let interruption = """
            import json, os, pty, socket, sys, time
            path, netns, program = sys.argv[1], sys.argv[2], sys.argv[3:]
            def state():
                with socket.socket(socket.AF_UNIX) as connection:
                    connection.connect(path)
                    request = {"jsonrpc": "2.0", "id": 1, "method": "status", "params": [netns]}
                    connection.sendall(json.dumps(request).encode() + b"\\n")
                    return json.loads(connection.makefile().readline())["result"]["state"]
            pid, master = pty.fork()
            if pid == 0: os.execvp(program[0], program)
            shown = os.read(master, 65536) if "sh" in program else b""
            deadline = time.monotonic() + 20
            while state() != "on" and time.monotonic() < deadline: time.sleep(0.01)
            os.write(master, b"\\x03")
            while True:
                try: more = os.read(master, 65536)
                except OSError: break
                if not more: break
                shown += more
            print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
            print(shown.decode().replace("\\r\\n", "\\n"), file=sys.stderr)
            """

        @Test func anInterruptAtTheTerminalEndsTheCommandAndItsBypass() async throws {
            try await Rig.with { rig in
                try await rig.sandbox.install(.iptables)
                let pod = rig.sandbox.pod
                for command in [
                    Self.exec(rig, ["sh", "-c", "echo ready; exec sleep 30"]),
                    [
                        rig.controlTool, "compare", pod, "--socket", rig.socket, "--to", "10.89.0.2:8080", "--count",
                        "10000",
                    ],
                ] {
                    #expect(try await rig.python(Self.interruption, command) == ["130"], "\(command)")
                    try await Self.checkNothingIsLeft(rig)
                }
                #expect(try await rig.sandbox.paths == .sidecar)
            }
        }
    }
}
