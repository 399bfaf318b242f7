import Linux
import MeshSandbox
import TestSupport
import Testing

extension KernelTests {
    /// A real Envoy, which reaches the app with the client's address (`original_src`): its connections over `lo` are what a
    /// bypass of TPROXY breaks most easily, and then requests on connections that were kept open answer 503.
    @Suite struct EnvoyTests {
        private static let root = String(#filePath.dropLast("Tests/KernelTests/EnvoyTests.swift".count))
        private static let envoy = root + ".build-envoy/bin/envoy"
        private static let folder = root + "Tests/Envoy/"

        @Test(arguments: MeshRuleSet.transparent)
        func requestsAreAnsweredWhileABypassComesAndGoes(_ rules: MeshRuleSet) async throws {
            guard Files.exists(Self.envoy) else {
                throw UnmetExpectation(description: "Envoy is not installed: Tests/run.sh does that")
            }
            try await Rig.with { rig in
                try await ProbedPod.with(rules, rig.sandbox) { pod in
                    try await pod.installRules()
                    let output = try await rig.sandbox.run(
                        [
                            "timeout", "60", "python3", Self.folder + "requests.py", pod.prefix, rig.socket, Self.envoy,
                            Self.folder + "envoy.yaml",
                        ], in: .host)
                    let (envoy, app) = (Self.answers("envoy"), Self.answers("app"))
                    let steps = [
                        "with the mesh: \(envoy)", "on: effective True", "kept open: \(envoy)", "new: \(app)",
                        "kept open beside new ones: \(envoy)", "off: effective False", "kept open after it: \(envoy)",
                        "direct ones after it: \(app)", "new after it: \(envoy)",
                    ]
                    #expect(output.split(separator: "\n").map(String.init) == steps)
                }
            }
        }

        /// The peer is the client in any case.
        private static func answers(_ who: String) -> String { "200 \(who) 10.89.0.2, 200 \(who) fd89::2" }
    }
}
