import Linux
import TestSupport
import Testing

extension ControllerTests {
    /// KMESH_WALK says how many steps (Tests/run.sh --walk), KMESH_SEED which.
    @Suite struct RandomWalkTests {
        @Test("Whatever fails in whatever order: in the end what is desired, what is and what is reported are equal")
        func walk() async throws {
            let steps = ProcessEnvironment["KMESH_WALK"].flatMap { Int($0) } ?? 250
            let seed = ProcessEnvironment["KMESH_SEED"].flatMap { UInt64($0) } ?? UInt64.random(in: 1...999_999)
            print("\(steps) steps with KMESH_SEED=\(seed)")
            try await ControllerRig.with { it in
                try await Fleet.with(4, it) { fleet in
                    try await it.start()
                    var walk = RandomWalk(it, fleet, seed: seed)
                    try await walk.run(steps: steps)
                }
            }
        }
    }
}
