import Linux
import MeshSandbox
import TestSupport
import Testing

extension KernelTests {
    /// `kill -9` between any two system calls of the daemon.
    ///
    /// KMESH_KILLS says how often (Tests/run.sh --crash), KMESH_SEED which kills.
    @Suite struct CrashTests {
        static let isThorough = ProcessEnvironment["KMESH_KILLS"] != nil

        @Test func aKillAnywhereLeavesTheOldOrTheNewAndTheNextStartPutsTheRestRight() async throws {
            let kills = ProcessEnvironment["KMESH_KILLS"].flatMap { Int($0) } ?? 40
            let seed = ProcessEnvironment["KMESH_SEED"].flatMap { UInt64($0) } ?? UInt64.random(in: 1...999_999)
            try await Rig.withoutDaemon(Rig.unattended) { rig in
                let harness = try await CrashHarness(rig, seed: seed)
                try await scoped {
                    try await harness.run(kills: kills)
                } cleanUp: {
                    print(harness.report)
                    try await harness.tearDown()
                }
            }
        }
    }
}
