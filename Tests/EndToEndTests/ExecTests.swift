import Linux
import MeshSandbox
import StrictJSON
import TestSupport
import Testing

extension EndToEndTests {
    /// `kmesh-bypassctl exec`: one command bypasses the sidecar, and nothing else of the pod.
    @Suite struct ExecTests {
        /// Writes who answers over both families, then waits for a file, and ends with status 7 after it has done so again.
        private static let client = """
            import os, socket, sys, time
            folder = sys.argv[1]
            def ask(name):
                answers = []
                for place in ("10.89.0.2", "fd89::2"):
                    with socket.create_connection((place, 8080), 5) as connection:
                        answers.append(connection.makefile().readline().strip())
                with open(folder + "/next", "w") as file: file.write(" ".join(answers))
                os.rename(folder + "/next", folder + "/" + name)
            ask("first")
            deadline = time.monotonic() + 15
            while not os.path.exists(folder + "/go") and time.monotonic() < deadline: time.sleep(0.01)
            ask("second")
            sys.exit(7)
            """

        private static func exec(_ rig: Rig, _ words: [String], _ options: [String] = []) -> [String] {
            [rig.controlTool, "exec", rig.sandbox.pod, "--socket", rig.socket] + options + ["--"] + words
        }

        private static func answers(_ rig: Rig, _ name: String) async throws -> String {
            let path = rig.folder.path + "/" + name
            try await eventually("the command has asked") { Files.exists(path) }
            return try Files.text(path)
        }

        /// Runs the client, and `body` while it waits.
        private static func whileRunning(
            _ rig: Rig, _ options: [String] = [], _ body: () async throws -> Void
        ) async throws -> CommandResult {
            let command = exec(rig, ["python3", "-c", client, rig.folder.path], options)
            async let running = rig.sandbox.result(of: command)
            do {
                #expect(try await answers(rig, "first") == "app app")
                try await body()
            } catch {
                Issue.record(error)
            }
            try Files.write([], to: rig.folder.path + "/go")
            return try await running
        }

        private static func checkNothingIsLeft(_ rig: Rig) async throws {
            let status = try await rig.status()
            #expect(status.state == "off" && status.rules.isEmpty && status.cgroup == nil)
            #expect(try await rig.entries == 0)
            let groups = ["find", "/sys/fs/cgroup", "-name", "kmesh-bypassctl-*"]
            #expect(try await rig.sandbox.run(groups, in: .host) == "")
        }

        @Test(arguments: MeshSandbox.Mesh.allCases)
        func onlyTheCommandLeavesTheMesh(_ mesh: MeshSandbox.Mesh) async throws {
            try await Rig.with { rig in
                try await rig.sandbox.install(mesh)
                let result = try await Self.whileRunning(rig, ["--owner", "me"]) {
                    #expect(try await rig.sandbox.paths == .sidecar, "the pod's own traffic stays in the mesh")
                    let status = try await rig.status()
                    #expect(status.state == "on" && status.effective && status.direction == "outbound")
                    #expect(status.cgroup != nil && status.expiresAt != nil)
                    #expect(status.owner == "me" && status.reason == "exec: python3")
                    let shown = try await rig.sandbox.run(
                        ["env", rig.controlTool, "status", rig.sandbox.pod, "--socket", rig.socket], in: .host)
                    #expect(shown.contains("outbound: only control group"), "\(shown)")
                    // A second one would take the first one's place.
                    let other = try await rig.sandbox.result(of: Self.exec(rig, ["true"]))
                    #expect(other.code == 1 && other.errors.contains { $0.contains("a command that bypasses") })
                }
                #expect(result == CommandResult(code: 7))
                #expect(try await Self.answers(rig, "second") == "app app")
                try await Self.checkNothingIsLeft(rig)
                #expect(try await rig.sandbox.paths == .sidecar)
            }
        }

        /// The mesh captures the pod's DNS, and not the command's.
        @Test func theCommandsDatagramsLeaveTheMeshToo() async throws {
            let client = """
                import socket
                for family, place in ((socket.AF_INET, "10.89.0.2"), (socket.AF_INET6, "fd89::2")):
                    with socket.socket(family, socket.SOCK_DGRAM) as query:
                        query.settimeout(5)
                        query.connect((place, 53))
                        query.send(b"?")
                        print(query.recv(64).decode())
                """
            try await Rig.with { rig in
                let sandbox = rig.sandbox
                try await sandbox.install(.iptables)
                try await sandbox.captureDNS()
                try await sandbox.withNameServers {
                    let result = try await sandbox.result(of: Self.exec(rig, ["python3", "-c", client]))
                    #expect(result == CommandResult(code: 0, output: "app\napp\n"))
                    for family in MeshSandbox.Family.allCases {
                        #expect(try await sandbox.datagramSocket(family).ask() == .sidecar)
                    }
                }
                try await Self.checkNothingIsLeft(rig)
            }
        }

        /// Without control groups of version 2 where the client runs, nothing runs and nothing changes.
        @Test func whereThereAreNoControlGroupsItSaysSo() async throws {
            try await Rig.with { rig in
                try await rig.sandbox.install(.iptables)
                let generation = try await rig.status().generation
                let without = [
                    "unshare", "--mount", "sh", "-c", "umount --recursive /sys/fs/cgroup && exec \"$@\"", "sh",
                ]
                let file = rig.folder.path + "/has-run"
                let refused = try await rig.sandbox.result(of: without + Self.exec(rig, ["touch", file]))
                #expect(refused.code == 1, "\(refused)")
                #expect(refused.errors.contains { $0.contains("control group") && $0.contains("is not mounted") })
                #expect(!Files.exists(file))
                #expect(try await rig.status().generation == generation, "nothing was turned on")
                try await Self.checkNothingIsLeft(rig)
            }
        }

        /// The lease is the kernel's, and a daemon takes it over.
        @Test func aCommandOutlivesTheDaemon() async throws {
            try await Rig.with { rig in
                try await rig.sandbox.install(.iptables)
                let result = try await Self.whileRunning(rig) {
                    let before = try await rig.status()
                    try rig.daemon.kill(9)
                    _ = try await rig.daemon.exit()
                    try await rig.start()
                    let after = try await rig.status()
                    #expect(after.cgroup == before.cgroup && after.generation == before.generation)
                    #expect(try await rig.sandbox.paths == .sidecar)
                }
                #expect(result == CommandResult(code: 7))
                #expect(try await Self.answers(rig, "second") == "app app")
                try await Self.checkNothingIsLeft(rig)
            }
        }

        /// The command goes with its client, and what is left in the map has no effect and is not in the way of the next command.
        @Test func aKilledClientLeavesNothingInForce() async throws {
            try await Rig.with { rig in
                try await rig.sandbox.install(.iptables)
                let shell =
                    "echo $PPID > \(rig.folder.path)/client.next; mv \(rig.folder.path)/client.next "
                    + "\(rig.folder.path)/client; exec sleep 30"
                let killed = Task {
                    try await rig.sandbox.run(["env"] + Self.exec(rig, ["sh", "-c", shell]), in: .host)
                }
                let client = try await Self.answers(rig, "client").filter(\.isNumber)
                let command = try await rig.sandbox.run(["pgrep", "-P", client], in: .host).filter(\.isNumber)
                try await rig.sandbox.run(["kill", "-9", client], in: .host)
                await #expect(throws: (any Error).self) { try await killed.value }
                try await eventually("the command has ended") { !Files.exists("/proc/\(command)") }
                #expect(try await rig.status().expiresAt != nil)
                #expect(try await rig.sandbox.paths == .sidecar)
                #expect(try await rig.sandbox.result(of: Self.exec(rig, ["sh", "-c", "exit 3"])).code == 3)
                try await Self.checkNothingIsLeft(rig)
            }
        }

        /// Of a bypass that another caller has turned on, nothing changes.
        @Test func aBypassThatIsOnStays() async throws {
            try await Rig.with { rig in
                try await rig.sandbox.install(.iptables)
                let on = try await rig.on(owner: "other")
                let covered = try await rig.sandbox.run(
                    ["sh", "-c", Self.exec(rig, ["echo", "done"]).joined(separator: " ") + " 2>&1"], in: .host)
                #expect(covered.contains("bypassed already") && covered.hasSuffix("done\n"), "\(covered)")
                #expect(try await rig.status().generation == on.generation)
                let scoped = try await rig.on(only: ["ports": [1]])
                let refused = try await rig.sandbox.result(of: Self.exec(rig, ["echo", "done"]))
                #expect(refused.code == 1 && refused.errors.first?.contains("only port 1") == true, "\(refused)")
                #expect(try await rig.status().generation == scoped.generation)
                // What turns the command's bypass into one for all is not ended with the command.
                try await rig.off()
                let result = try await Self.whileRunning(rig) { try await rig.on(owner: "other") }
                #expect(result.code == 7)
                #expect(try await rig.status().owner == "other")
            }
        }

        @Test func usersSignalsAndFailuresAreTheCommands() async throws {
            try await Rig.with { rig in
                try await rig.sandbox.install(.iptables)
                func run(_ words: [String], _ options: [String] = []) async throws -> CommandResult {
                    try await rig.sandbox.result(of: Self.exec(rig, words, options))
                }
                let user = try await run(
                    ["sh", "-c", "id -u; id -g; grep CapEff /proc/self/status"], ["--as", "nobody"])
                #expect(user.output == "65534\n65534\nCapEff:\t0000000000000000\n", "\(user)")
                #expect(try await run(["sh", "-c", "trap 'exit 5' TERM; kill $PPID; sleep 10 & wait"]).code == 5)
                #expect(try await run(["sh", "-c", "kill -9 $$"]).code == 137)
                #expect(try await run(["no-such-program"]).code == 127)
                #expect(try await run(["/"]).code == 126)
                #expect(try await run([]).code == 64)
                #expect(try await run(["true"], ["--as", "no-such-user"]).code == 64)
                // What the command leaves running is moved out of its group.
                #expect(try await run(["sh", "-c", "sleep 2 >&- 2>&- & exit 4"]).code == 4)
                let generation = try await rig.status().generation
                let unprivileged = ["setpriv", "--inh-caps=-all", "--bounding-set=-sys_admin"]
                let denied = try await rig.sandbox.result(of: unprivileged + Self.exec(rig, ["true"]))
                #expect(denied.code == 4 && denied.errors.first?.contains("sudo") == true, "\(denied)")
                #expect(try await rig.status().generation == generation, "nothing was turned on")
                try await Self.checkNothingIsLeft(rig)
            }
        }

        @Test func aControlGroupGoesWithOutboundAndATTL() async throws {
            try await Rig.with { rig in
                let pod = JSONValue.string(rig.sandbox.pod)
                for wrong: JSONValue in [
                    ["netns": pod, "state": "on", "direction": "outbound", "cgroup": 7],
                    ["netns": pod, "state": "on", "ttl": 9, "cgroup": 7],
                    ["netns": pod, "state": "on", "direction": "inbound", "ttl": 9, "cgroup": 7],
                    ["netns": pod, "state": "on", "direction": "outbound", "ttl": 9, "cgroup": 0],
                    ["netns": pod, "state": "off", "cgroup": 7],
                ] {
                    let refusal = try await rig.refusal("bypass", wrong)
                    #expect(refusal == .invalidParams, "\(wrong)")
                }
            }
        }
    }
}
