import Kubernetes
import Testing

/// Which of Istio's policies applies to a pod, and what is said about it.
@Suite struct MutualTLSPolicyTests {
    private static func policy(
        _ mode: String?, _ name: String = "default", in namespace: String = "n",
        selects labels: [String: String]? = nil, ports: [String: String?] = [:], at time: String = "2026"
    ) -> PeerAuthentication {
        PeerAuthentication(
            metadata: ObjectMeta(name: name, namespace: namespace, creationTimestamp: time),
            spec: .init(matchLabels: labels, mode: mode, ports: ports))
    }

    private func policy(
        _ namespace: [PeerAuthentication], _ mesh: [PeerAuthentication] = [], labels: [String: String] = ["app": "web"]
    ) -> MutualTLSPolicy {
        MutualTLSPolicy(for: labels, namespace: namespace, mesh: mesh)
    }

    @Test("The most specific policy that sets a mode wins: workload, namespace, mesh")
    func precedence() {
        let (strict, permissive) = (Self.policy("STRICT"), Self.policy("PERMISSIVE"))
        #expect(policy([], []).mode == .permissive && policy([], []).source == nil)
        #expect(policy([], [strict]).mode == .strict)
        #expect(policy([permissive], [strict]).mode == .permissive)
        #expect(policy([strict, Self.policy("DISABLE", selects: ["app": "web"])], [strict]).mode == .disable)
        #expect(policy([permissive, Self.policy("STRICT", selects: ["app": "web"])]).mode == .strict)
        #expect(policy([permissive, Self.policy("STRICT", selects: ["app": "other"])]).mode == .permissive)
        #expect(policy([permissive, Self.policy("STRICT", selects: ["app": "web", "v": "2"])]).mode == .permissive)
        // A mode that is not set is inherited.
        #expect(policy([Self.policy("UNSET")], [strict]).mode == .strict)
        #expect(policy([Self.policy(nil)], [strict]).mode == .strict)
        // In the root namespace a policy with a selector applies to that namespace only.
        #expect(policy([], [Self.policy("STRICT", selects: ["app": "web"])]).mode == .permissive)
    }

    @Test("Among several policies the oldest wins, even if it sets no mode")
    func age() {
        let policies = [Self.policy("PERMISSIVE", "b", at: "2026-02"), Self.policy("STRICT", "a", at: "2026-01")]
        #expect(policy(policies).mode == .strict && policy(policies.reversed()).mode == .strict)
        let unset = [Self.policy("STRICT", "b", at: "2026-02"), Self.policy("UNSET", "a", at: "2026-01")]
        #expect(policy(unset, [Self.policy("DISABLE")]).mode == .disable)
    }

    @Test("A port has the mode of the workload's policy, which may leave the others as they are")
    func ports() {
        let mesh = [Self.policy("STRICT", in: "istio-system")]
        let byPort = Self.policy(nil, "p", selects: ["app": "web"], ports: ["8080": "DISABLE", "9090": "UNSET"])
        #expect(policy([byPort], mesh).mode == .strict && policy([byPort], mesh).ports == [8080: .disable])
        // Without a selector they have no effect.
        #expect(policy([Self.policy(nil, ports: ["8080": "DISABLE"])], mesh).ports.isEmpty)
        #expect(policy([Self.policy(nil, ports: ["x": "DISABLE", "80": "ON"])], mesh).ports.isEmpty)
    }

    @Test("There is a warning unless mTLS is disabled, in words for each case")
    func words() {
        let disabled = Self.policy("DISABLE", selects: ["app": "web"])
        #expect(policy([disabled]).warning() == nil)
        #expect(policy([], [Self.policy("DISABLE")]).warning() == nil)

        let strict = policy([], [Self.policy("STRICT", "mesh", in: "istio-system")]).warning()
        #expect(strict?.reason == "BypassStrictMTLS")
        #expect(
            strict?.message
                == "PeerAuthentication istio-system/mesh requires mTLS (STRICT) of this pod's clients. A bypassed pod cannot "
                + "read the mTLS that its clients must use. What a bypassed pod sends is plaintext, which peers that "
                + "require mTLS (STRICT) refuse.")
        let permissive = policy([Self.policy("PERMISSIVE")]).warning()
        #expect(permissive?.reason == "BypassPermissiveMTLS")
        #expect(permissive?.message.hasPrefix("PeerAuthentication n/default lets this pod's clients use mTLS") == true)
        #expect(permissive?.message.contains("Clients with a sidecar send mTLS by themselves") == true)
        let none = policy([]).warning()
        #expect(none?.message.hasPrefix("Istio's default lets this pod's clients use mTLS (PERMISSIVE). ") == true)

        // One port is enough.
        let port = Self.policy("DISABLE", "p", selects: ["app": "web"], ports: ["9090": "STRICT", "80": "PERMISSIVE"])
        let mixed = policy([port]).warning()
        #expect(mixed?.reason == "BypassStrictMTLS")
        #expect(
            mixed?.message.hasPrefix(
                "PeerAuthentication n/p turns mTLS off (DISABLE) for this pod, but PERMISSIVE on port 80, STRICT on port "
                    + "9090. ") == true)
        #expect(MutualTLSPolicy.unknown("no").reason == "BypassUnknownMTLS")
    }

    @Test("The warning is about the direction that is bypassed")
    func directions() {
        let strict = policy([Self.policy("STRICT")])
        #expect(strict.warning(outbound: false)?.message.contains("plaintext") == false)
        #expect(strict.warning(inbound: false)?.message.contains("cannot read") == false)
        #expect(strict.warning(inbound: false)?.message.contains("plaintext") == true)
    }
}
