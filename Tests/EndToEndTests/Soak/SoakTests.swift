import Linux
import MeshSandbox
import TestSupport
import Testing

extension EndToEndTests {
    /// KMESH_SOAK says for how many seconds (Tests/run.sh --soak), KMESH_SEED what the clients do.
    @Suite struct SoakTests {
        @Test func manyCallersAtTheSameTimeAllGetTheTruth() async throws {
            let seconds = ProcessEnvironment["KMESH_SOAK"].flatMap { Int($0) } ?? 5
            let seed = ProcessEnvironment["KMESH_SEED"].flatMap { UInt64($0) } ?? UInt64.random(in: 1...999_999)
            await WatchRecorder.warmUp()
            try await Rig.withoutDaemon { rig in
                let soak = Soak(rig, seed: seed)
                try await scoped {
                    try await soak.run(seconds: seconds)
                } cleanUp: {
                    print(soak.report)
                }
            }
        }
    }
}
