import Kubernetes
import Testing

@testable import BypassController

/// Which of Istio's rules is in force for a pod.
@Suite struct MutualTLSTests {
    private static func rule(
        _ mode: String?, _ name: String = "default", selects labels: [String: String]? = nil, at time: String = "2026"
    ) -> PeerAuthentication {
        PeerAuthentication(
            metadata: ObjectMeta(name: name, namespace: "n", creationTimestamp: time),
            spec: .init(matchLabels: labels, mode: mode))
    }

    private func mode(
        _ own: [PeerAuthentication], _ mesh: [PeerAuthentication] = [], labels: [String: String] = ["app": "web"]
    ) -> String? {
        MutualTLS.inForce(for: labels, own: own, mesh: mesh)?.spec?.mtls?.mode
    }

    @Test("The narrowest rule that says something wins: workload, namespace, mesh")
    func precedence() {
        let (strict, permissive) = (Self.rule("STRICT"), Self.rule("PERMISSIVE"))
        #expect(mode([], []) == nil)
        #expect(mode([], [strict]) == "STRICT")
        #expect(mode([permissive], [strict]) == "PERMISSIVE")
        #expect(mode([strict, Self.rule("DISABLE", selects: ["app": "web"])], [strict]) == "DISABLE")
        #expect(mode([permissive, Self.rule("STRICT", selects: ["app": "web"])]) == "STRICT")
        #expect(mode([permissive, Self.rule("STRICT", selects: ["app": "other"])]) == "PERMISSIVE")
        #expect(mode([permissive, Self.rule("STRICT", selects: ["app": "web", "v": "2"])]) == "PERMISSIVE")
        // A rule that leaves it open is no rule.
        #expect(mode([Self.rule("UNSET")], [strict]) == "STRICT")
        #expect(mode([Self.rule(nil)], [strict]) == "STRICT")
        // What selects workloads in the mesh's own namespace is for that namespace.
        #expect(mode([], [Self.rule("STRICT", selects: ["app": "web"])]) == nil)
    }

    @Test("Of several the oldest")
    func age() {
        let rules = [Self.rule("PERMISSIVE", "b", at: "2026-02"), Self.rule("STRICT", "a", at: "2026-01")]
        #expect(mode(rules) == "STRICT" && mode(rules.reversed()) == "STRICT")
    }
}
