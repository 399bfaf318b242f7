import MeshSandbox
import TestSupport
import Testing

extension KernelTests {
    /// What standard error gets, which is a file here: times and levels. For the journal: `AuditRecordTests`.
    @Suite struct LogTests {
        @Test func aChangeIsOneLineWhateverTheClientSays() async throws {
            try await Rig.with { rig in
                try await rig.on(owner: "night shift", reason: "x\n<2>forged \u{1B}[2J\"=")
                func lines() throws -> [Substring] {
                    try rig.daemon.standardError.split(separator: "\n").filter {
                        $0.contains("netns=\(rig.sandbox.pod)")
                    }
                }
                try await eventually("the change is logged") { try !lines().isEmpty }
                let line = try #require(try lines().first)
                #expect(line.contains(#/^20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ info: bypass on /#), "\(line)")
                #expect(line.contains(#"owner="night shift""#))
                #expect(line.contains(#"reason="x\n<2>forged \u{1b}[2J\"=""#))
                #expect(line.contains("uid=0") && line.contains("pid="))
                #expect(try !rig.daemon.standardError.split(separator: "\n").contains { $0.hasPrefix("<2>") })
            }
        }

        @Test func aRefusalIsOneLine() async throws {
            try await Rig.with { rig in
                await #expect(throws: (any Error).self) { try await rig.on("no-such-namespace") }
                try await eventually("the refusal is logged") {
                    try rig.daemon.standardError.contains("Z notice: bypass on failed ")
                }
            }
        }
    }
}
