import MeshSandbox
import TestSupport
import Testing

extension EndToEndTests {
    /// `kmesh-bypassctl policy`, as scripts and units see it. No daemon is asked.
    @Suite struct PolicyToolTests {
        private static let good = """
            [[grant]]
            users = ["daemon"]
            role = "bypass"
            max-ttl = "15m"
            """

        /// - Parameter file: its text, and in octal its mode.
        private static func run(_ rig: Rig, _ words: [String], file: (text: String, mode: String)) async throws
            -> CommandResult
        {
            let path = rig.folder.path + "/policy.toml"
            let script = "printf %s \"$1\" > \"$2\"; chmod \(file.mode) \"$2\"; shift 2; exec \"$@\""
            let command = ["sh", "-c", script, "sh", file.text, path, rig.controlTool, "policy"]
            return try await rig.sandbox.result(of: command + words.map { $0 == "FILE" ? path : $0 })
        }

        @Test func aGoodFileIsSummedUp() async throws {
            try await Rig.withoutDaemon { rig in
                let ending = try await Self.run(rig, ["check", "FILE"], file: (Self.good, "644"))
                #expect(ending.code == 0 && ending.errors.joined() == "", "\(ending)")
                #expect(ending.output.contains("in order: 1 grant") && ending.output.contains("user daemon may"))
                #expect(ending.output.contains("at most 15m") && !ending.output.contains("\u{1B}"))
            }
        }

        @Test func aBadFileFailsWithEachComplaint() async throws {
            try await Rig.withoutDaemon { rig in
                let text = Self.good + "\nhost = true\n[[grant]]\nrole = \"red\"\n"
                for words in [["check", "FILE"], ["explain", "--user", "root", "--file", "FILE"]] {
                    let ending = try await Self.run(rig, words, file: (text, "644"))
                    #expect(ending.code == 1 && ending.output == "", "\(ending)")
                    for line in [5, 6, 7] {
                        #expect(ending.errors.contains { $0.contains("/policy.toml:\(line): ") }, "\(ending)")
                    }
                }
                let missing = try await Self.run(rig, ["check", "FILE-that-is-not-there"], file: ("", "644"))
                #expect(missing.code == 1 && missing.errors.joined().contains("FILE-that-is-not-there"), "\(missing)")
            }
        }

        @Test func aDraftThatTheDaemonWouldNotAcceptIsReported() async throws {
            try await Rig.withoutDaemon { rig in
                let ending = try await Self.run(rig, ["check", "FILE"], file: (Self.good, "666"))
                #expect(ending.code == 0 && ending.output.contains("can be written by others"), "\(ending)")
            }
        }

        @Test func whatAUserMayDoIsShownForTheNamespaceThatIsThere() async throws {
            try await Rig.withoutDaemon { rig in
                let explain = ["explain", "--file", "FILE", "--user", "daemon", "--netns"]
                let pod = try await Self.run(
                    rig, explain + [rig.sandbox.pod, "--for", "15m"], file: (Self.good, "644"))
                #expect(pod.code == 0 && pod.output.contains("allows it") && !pod.output.contains("warning"), "\(pod)")
                let endless = try await Self.run(rig, explain + [rig.sandbox.pod], file: (Self.good, "644"))
                #expect(
                    endless.code == 0 && endless.output.contains("requires one of at most 15m (--for 15m, or ttl 900)"),
                    "\(endless)")
                let host = try await Self.run(rig, explain + ["host"], file: (Self.good, "644"))
                #expect(host.code == 0 && host.output.contains("host = true"), "\(host)")
                let nobody = try await Self.run(
                    rig, ["explain", "--file", "FILE", "--user", "no-such-user"], file: (Self.good, "644"))
                #expect(nobody.code == 1 && nobody.errors.joined().contains("no-such-user"), "\(nobody)")
            }
        }
    }
}
