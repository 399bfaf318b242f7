import MeshSandbox
import TestSupport
import Testing

extension EndToEndTests {
    /// `kmesh-bypassctl demo`, which has to clean up after itself.
    @Suite struct DemoTests {
        /// What the demo makes, by its names.
        private static func traces(_ rig: Rig) async throws -> String {
            let list = "ls -d /run/netns/bypass-demo* /run/kmesh-demo* 2>/dev/null; true"
            let files = try await rig.sandbox.run(["sh", "-c", list], in: .host)
            // The brackets keep the search from finding itself.
            return files + (try await rig.sandbox.result(of: ["pgrep", "-f", "/[k]mesh-demo"]).output)
        }

        @Test(arguments: MeshSandbox.Mesh.allCases)
        func theDemoShowsEveryTurnAndLeavesNothing(_ mesh: MeshSandbox.Mesh) async throws {
            try await Rig.withoutDaemon { rig in
                let demo = [rig.controlTool, "demo", "--mesh", mesh.rawValue, "--socket", rig.socket]
                let ending = try await rig.sandbox.result(of: demo)
                #expect(ending.code == 0, "\(ending)")
                let answers = ending.output.split(separator: "\n").map { $0.split(separator: " ").suffix(4) }
                    .filter { Set($0).count == 1 && ["app", "sidecar"].contains($0.first) }
                #expect(answers.map(\.first) == ["app", "sidecar", "app", "sidecar"], "\(ending.output)")
                #expect(ending.output.contains("-A OUTPUT -m bpf --object-pinned"))
                #expect(try await Self.traces(rig) == "")
            }
        }

        /// What is called as an earlier demo's namespaces were is not the demo's.
        @Test func theDemoDeletesNothingThatItDidNotMake() async throws {
            try await Rig.with { rig in
                let names = ["bypass-demo-pod", "bypass-demo-peer"]
                try await scoped {
                    for name in names { try await rig.sandbox.run(["ip", "netns", "add", name], in: .host) }
                    let before = try await rig.sandbox.run(["ls", "-i", "/run/netns"], in: .host)
                    let demo = try await rig.sandbox.result(of: [rig.controlTool, "demo", "--socket", rig.socket])
                    #expect(demo.code == 0, "\(demo)")
                    #expect(try await rig.sandbox.run(["ls", "-i", "/run/netns"], in: .host) == before)
                } cleanUp: {
                    for name in names { try await rig.sandbox.run(["ip", "netns", "delete", name], in: .host) }
                }
            }
        }

        @Test func aNameThatIsTakenIsAnErrorAndIsLeftAlone() async throws {
            try await Rig.withoutDaemon { rig in
                let prefix = rig.sandbox.pod.replacing("-pod", with: "-taken")
                try await rig.sandbox.run(["ip", "netns", "add", prefix + "-peer"], in: .host)
                try await scoped {
                    await #expect(throws: MeshSandbox.NameTaken.self) { try await MeshSandbox.make(prefix: prefix) }
                    let left = try await rig.sandbox.run(["sh", "-c", "ls -d /run/netns/\(prefix)*"], in: .host)
                    #expect(left == "/run/netns/\(prefix)-peer\n")
                } cleanUp: {
                    try await rig.sandbox.run(["ip", "netns", "delete", prefix + "-peer"], in: .host)
                }
            }
        }

        @Test func theDemoUsesTheDaemonThatRunsAndLeavesNoBypass() async throws {
            try await Rig.with { rig in
                let ending = try await rig.sandbox.result(of: [rig.controlTool, "demo", "--socket", rig.socket])
                #expect(ending.code == 0 && ending.output.contains(rig.pin), "\(ending)")
                #expect(try await rig.list() == [])
                #expect(try await Self.traces(rig) == "")
            }
        }

        /// Ctrl-C, when the sidecar has just answered and everything is set up.
        @Test(arguments: ["a daemon of its own", "the daemon that runs"])
        func anInterruptedDemoLeavesNothing(_ daemon: String) async throws {
            try await Rig.withoutDaemon { rig in
                if daemon == "the daemon that runs" { try await rig.start() }
                let printed = try await rig.python(
                    """
                    import signal, subprocess, sys
                    demo = subprocess.Popen([sys.argv[3], 'demo', '--socket', sys.argv[1]], stdout=subprocess.PIPE)
                    while b'sidecar ' not in demo.stdout.readline().split(b':')[-1]: assert demo.poll() is None
                    demo.send_signal(signal.SIGINT)
                    demo.stdout.read()
                    print(demo.wait())
                    """, [rig.controlTool])
                #expect(printed == ["130"])
                #expect(try await Self.traces(rig) == "")
                if daemon == "the daemon that runs" { #expect(try await rig.list() == []) }
            }
        }
    }
}
