internal import Kubernetes
internal import StrictJSON

/// Finds out whether Istio requires mTLS of a pod's peers: a bypassed pod does not speak it.
actor PeerAuthenticationChecker {
    private let client: APIClient
    /// By namespace. Kept for a short time, for pods that are labelled together.
    private var cache: [String: (policies: [PeerAuthentication], expiry: ContinuousClock.Instant)] = [:]

    /// The namespace of Istio's mesh-wide policies, unless it was installed otherwise.
    private static let rootNamespace = "istio-system"

    init(_ client: APIClient) {
        self.client = client
    }

    /// The policy that applies to a pod, if it is STRICT.
    func strictPolicy(for pod: Pod) async -> PeerAuthentication? {
        let own = await policies(in: pod.metadata.namespace)
        let mesh = pod.metadata.namespace == Self.rootNamespace ? [] : await policies(in: Self.rootNamespace)
        let policy = Self.effectivePolicy(for: pod.metadata.labels, namespace: own, mesh: mesh)
        return policy?.spec?.mtls?.mode == "STRICT" ? policy : nil
    }

    /// The most specific policy that sets a mode: of the workload, the namespace, the mesh. Among several the oldest.
    static func effectivePolicy(
        for labels: [String: String], namespace: [PeerAuthentication], mesh: [PeerAuthentication]
    ) -> PeerAuthentication? {
        func oldest(_ policies: [PeerAuthentication]) -> PeerAuthentication? {
            policies.filter { ![nil, "UNSET"].contains($0.spec?.mtls?.mode) }.min {
                ($0.metadata.creationTimestamp ?? "", $0.metadata.name)
                    < ($1.metadata.creationTimestamp ?? "", $1.metadata.name)
            }
        }
        func selects(_ policy: PeerAuthentication) -> Bool {
            policy.selector.allSatisfy { labels[$0.key] == $0.value }
        }
        return oldest(namespace.filter { !$0.selector.isEmpty && selects($0) })
            ?? oldest(namespace.filter(\.selector.isEmpty)) ?? oldest(mesh.filter(\.selector.isEmpty))
    }

    private func policies(in namespace: String) async -> [PeerAuthentication] {
        if let cached = cache[namespace], cached.expiry > .now { return cached.policies }
        let policies = await items(in: namespace).compactMap {
            try? JSONDecoding.decode(PeerAuthentication.self, from: $0, unknownMembers: .ignore)
        }
        cache[namespace] = (policies, .now + .seconds(30))
        return policies
    }

    /// Without the resource, or without permission to list it, there are none: neither is an error.
    private func items(in namespace: String) async -> [JSONValue] {
        // v1 since Istio 1.22.
        for version in ["v1", "v1beta1"] {
            let path = "/apis/security.istio.io/\(version)/namespaces/\(namespace)/peerauthentications"
            do throws(APIError) {
                return try await client.get(path).object?["items"]?.array ?? []
            } catch {
                if error.code != 404 { break }
            }
        }
        return []
    }
}

extension PeerAuthentication {
    fileprivate var selector: [String: String] { spec?.selector?.matchLabels ?? [:] }
}
