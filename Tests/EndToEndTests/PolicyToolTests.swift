import MeshSandbox
import StrictJSON
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

        /// For scripts: one line whatever happens, and the same exit codes.
        @Test func withJSONAProgramReadsTheResultOrEachError() async throws {
            try await Rig.withoutDaemon { rig in
                func json(_ words: [String], _ text: String, mode: String = "644") async throws -> (Int?, JSONObject?) {
                    let command = ["sh", "-c", #""$@"; echo "$?""#, "sh", rig.controlTool, "policy"]
                    let path = rig.folder.path + "/policy.toml"
                    try await rig.sandbox.run(
                        ["sh", "-c", "printf %s \"$1\" > \"$2\"; chmod \(mode) \"$2\"", "sh", text, path], in: .host)
                    let output = try await rig.sandbox.run(
                        command + words.map { $0 == "FILE" ? path : $0 } + ["--json"], in: .host)
                    let lines = output.split(separator: "\n").map(String.init)
                    #expect(lines.count == 2, "\(output)")
                    return (lines.last.flatMap { Int($0) }, try JSONReader.read(lines.first ?? "").object)
                }
                let (good, summary) = try await json(["check", "FILE"], Self.good, mode: "666")
                #expect(good == 0 && summary?["builtIn"] == false)
                let grant = summary?["grants"]?.array?.first?.object
                #expect(grant?["line"] == 1 && grant?["role"] == "bypass" && grant?["subjects"] == ["user daemon"])
                #expect(summary?["warnings"]?.array?.first?.string?.contains("can be written by others") == true)
                let (bad, failure) = try await json(["check", "FILE"], Self.good + "\nhost = true\n[[grant]]\n")
                let data = failure?["error"]?.object?["data"]?.object
                #expect(bad == 1 && data?["kind"] == "invalid-policy" && (data?["errors"]?.array?.count ?? 0) >= 2)
                #expect(data?["errors"]?.array?.first?.string?.contains("/policy.toml:5: ") == true)
                let explain = ["explain", "--file", "FILE", "--netns", rig.sandbox.pod, "--user"]
                let (user, decisions) = try await json(explain + ["daemon", "--for", "15m"], Self.good)
                let answers = decisions?["answers"]?.array?.compactMap(\.object) ?? []
                #expect(user == 0 && answers.map { $0["allowed"] } == [true, true, true, true, false], "\(answers)")
                let (unknown, error) = try await json(explain + ["no-such-user"], Self.good)
                #expect(unknown == 1 && error?["error"]?.object?["data"]?.object?["kind"] == "user-unknown")
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
