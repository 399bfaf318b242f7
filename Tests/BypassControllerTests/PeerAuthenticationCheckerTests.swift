import Kubernetes
import Testing

@testable import BypassController

/// Which of Istio's policies applies to a pod.
@Suite struct PeerAuthenticationCheckerTests {
    private static func policy(
        _ mode: String?, _ name: String = "default", selects labels: [String: String]? = nil, at time: String = "2026"
    ) -> PeerAuthentication {
        PeerAuthentication(
            metadata: ObjectMeta(name: name, namespace: "n", creationTimestamp: time),
            spec: .init(matchLabels: labels, mode: mode))
    }

    private func mode(
        _ namespace: [PeerAuthentication], _ mesh: [PeerAuthentication] = [], labels: [String: String] = ["app": "web"]
    ) -> String? {
        PeerAuthenticationChecker.effectivePolicy(for: labels, namespace: namespace, mesh: mesh)?.spec?.mtls?.mode
    }

    @Test("The most specific policy that sets a mode wins: workload, namespace, mesh")
    func precedence() {
        let (strict, permissive) = (Self.policy("STRICT"), Self.policy("PERMISSIVE"))
        #expect(mode([], []) == nil)
        #expect(mode([], [strict]) == "STRICT")
        #expect(mode([permissive], [strict]) == "PERMISSIVE")
        #expect(mode([strict, Self.policy("DISABLE", selects: ["app": "web"])], [strict]) == "DISABLE")
        #expect(mode([permissive, Self.policy("STRICT", selects: ["app": "web"])]) == "STRICT")
        #expect(mode([permissive, Self.policy("STRICT", selects: ["app": "other"])]) == "PERMISSIVE")
        #expect(mode([permissive, Self.policy("STRICT", selects: ["app": "web", "v": "2"])]) == "PERMISSIVE")
        // A policy without a mode does not count.
        #expect(mode([Self.policy("UNSET")], [strict]) == "STRICT")
        #expect(mode([Self.policy(nil)], [strict]) == "STRICT")
        // In the root namespace a policy with a selector applies to that namespace only.
        #expect(mode([], [Self.policy("STRICT", selects: ["app": "web"])]) == nil)
    }

    @Test("Among several policies the oldest wins")
    func age() {
        let policies = [Self.policy("PERMISSIVE", "b", at: "2026-02"), Self.policy("STRICT", "a", at: "2026-01")]
        #expect(mode(policies) == "STRICT" && mode(policies.reversed()) == "STRICT")
    }
}
