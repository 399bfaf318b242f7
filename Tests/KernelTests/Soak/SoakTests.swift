import Linux
import RootTestSupport
import Testbed
import Testing

extension KernelTests {
    /// Many clients and namespaces, for a long time.
    ///
    /// KMESH_SOAK says for how many seconds (Tests/run.sh --soak), KMESH_SEED which way.
    @Suite struct SoakTests {
        @Test func manyClientsAndNamespacesForALongTime() async throws {
            let seconds = Environment["KMESH_SOAK"].flatMap { Int($0) } ?? 10
            let seed = Environment["KMESH_SEED"].flatMap { UInt64($0) } ?? UInt64.random(in: 1...999_999)
            try await Rig.with { rig in
                let soak = Soak(rig, seed: seed)
                try await scoped {
                    try await soak.run(for: .seconds(seconds))
                } cleanUp: {
                    try await soak.tearDown()
                }
            }
        }
    }
}
