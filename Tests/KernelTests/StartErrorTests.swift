import MeshSandbox
import TestSupport
import Testing

extension KernelTests {
    /// Why a daemon does not start: an exit status for programs, one line for people.
    @Suite struct StartErrorTests {
        private static func expect(
            _ code: Int, naming word: String, _ command: [String], _ rig: Rig,
            sourceLocation: SourceLocation = #_sourceLocation
        ) async throws {
            let ending = try await rig.sandbox.result(of: command)
            #expect(ending.code == code, "\(ending)", sourceLocation: sourceLocation)
            #expect(ending.errors.count == 1, "\(ending)", sourceLocation: sourceLocation)
            #expect(ending.errors.first?.contains(word) == true, "\(ending)", sourceLocation: sourceLocation)
        }

        @Test func withoutRightsItSaysWhichAreMissing() async throws {
            try await Rig.withoutDaemon { rig in
                // To read whatever folder the program was built in is all that the user nobody is lent.
                let nobody = [
                    "setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--inh-caps=+dac_read_search",
                    "--ambient-caps=+dac_read_search",
                ]
                try await Self.expect(77, naming: "run as root", nobody + rig.command(), rig)
                let lacking = ["setpriv", "--inh-caps=-bpf", "--bounding-set=-bpf"]
                try await Self.expect(77, naming: "CAP_BPF", lacking + rig.command(), rig)
                try await rig.sandbox.run(["test", "!", "-e", rig.socket], in: .host)
            }
        }

        @Test func withoutABPFFileSystemItSaysHowToMountOne() async throws {
            try await Rig.withoutDaemon { rig in
                for folder in [rig.folder.path, "/nonexistent", "/proc/version"] {
                    try await Self.expect(72, naming: folder, rig.command(bpffs: folder), rig)
                    try await rig.sandbox.run(["test", "!", "-e", rig.socket], in: .host)
                }
            }
        }

        @Test func aLivingDaemonKeepsItsSocket() async throws {
            try await Rig.with { rig in
                try await BPFFileSystem.with { other in
                    let second = rig.command(bpffs: other.path, stateDirectory: rig.folder.path + "/other")
                    try await Self.expect(75, naming: rig.socket, second, rig)
                }
                #expect(try await rig.on().state == "on")
            }
        }

        @Test func twoDaemonsDoNotShareTheirPins() async throws {
            try await Rig.with { rig in
                try await rig.sandbox.install(.iptables)
                try await rig.on()
                let socket = rig.folder.path + "/second"
                try await Self.expect(75, naming: rig.options.bpffs, rig.command(socket: socket), rig)
                try await rig.sandbox.run(["test", "!", "-e", socket], in: .host)
                #expect(try await rig.sandbox.paths == .app)
                #expect(try await rig.list().count == 1)
            }
        }

        @Test func whatIsNoSocketIsNotReplaced() async throws {
            try await Rig.withoutDaemon { rig in
                try await rig.sandbox.run(["cp", "/etc/passwd", rig.socket], in: .host)
                try await Self.expect(75, naming: rig.socket, rig.command(), rig)
                try await rig.sandbox.run(["cmp", "/etc/passwd", rig.socket], in: .host)
            }
        }

        @Test func whatSomebodyElseHasPinnedIsNotReplaced() async throws {
            try await Rig.withoutDaemon { rig in
                let map = ["bpftool", "map", "create", rig.pin, "type", "hash", "key", "4", "value", "4"]
                try await rig.sandbox.run(map + ["entries", "1", "name", "somebodys"], in: .host)
                try await Self.expect(75, naming: rig.pin, rig.command(), rig)
                let shown = try await rig.sandbox.run(["bpftool", "map", "show", "pinned", rig.pin], in: .host)
                #expect(shown.contains("somebodys"))
            }
        }

        @Test func aSocketThatADeadDaemonLeftIsReplaced() async throws {
            try await Rig.with { rig in
                try rig.daemon.kill(9)
                _ = try await rig.daemon.exit()
                try await rig.sandbox.run(["test", "-S", rig.socket], in: .host)
                try await rig.start()
                #expect(try await rig.list() == [])
                let mode = try await rig.sandbox.run(["stat", "--format=%a %U", rig.socket], in: .host)
                #expect(mode == "600 root\n" || mode == "660 root\n")
            }
        }

        @Test(arguments: [
            ["--bpffs", "relative"], ["--max-line", "0"], ["--log-level", "loud"], ["--no-such-option"],
        ])
        func wrongArgumentsAreRefused(_ arguments: [String]) async throws {
            try await Rig.withoutDaemon { rig in
                let ending = try await rig.sandbox.result(of: rig.command(arguments))
                #expect(ending.code == 64, "\(ending)")
            }
        }
    }
}
