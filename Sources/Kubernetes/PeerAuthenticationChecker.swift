internal import StrictJSON

/// Finds out whether Istio has a pod's peers use mTLS: a bypassed pod does not speak it.
package actor PeerAuthenticationChecker {
    private let client: APIClient
    /// By namespace. Kept for a short time, for pods that are labelled together.
    private var cache: [String: (policies: [PeerAuthentication], expiry: ContinuousClock.Instant)] = [:]

    /// The namespace of Istio's mesh-wide policies, unless it was installed otherwise.
    private static let rootNamespace = "istio-system"

    package init(_ client: APIClient) {
        self.client = client
    }

    /// nil if mTLS is disabled for the pod, or the pod is not in Istio's mesh.
    ///
    /// - Parameters:
    ///   - inbound: whether the pod's inbound connections bypass its sidecar.
    ///   - outbound: likewise.
    package func warning(for pod: Pod, inbound: Bool, outbound: Bool) async -> MutualTLSPolicy.Warning? {
        guard Sidecars().mesh(of: pod) == .istio else { return nil }
        do throws(APIError) {
            let own = try await policies(in: pod.metadata.namespace)
            let mesh =
                pod.metadata.namespace == Self.rootNamespace ? [] : try await policies(in: Self.rootNamespace)
            return MutualTLSPolicy(for: pod.metadata.labels, namespace: own, mesh: mesh)
                .warning(inbound: inbound, outbound: outbound)
        } catch {
            return error == .cancelled ? nil : MutualTLSPolicy.unknown(error.description)
        }
    }

    private func policies(in namespace: String) async throws(APIError) -> [PeerAuthentication] {
        if let cached = cache[namespace], cached.expiry > .now { return cached.policies }
        let policies = try await items(in: namespace).map { item throws(APIError) in
            do {
                return try JSONDecoding.decode(PeerAuthentication.self, from: item, unknownMembers: .ignore)
            } catch {
                throw .invalidAnswer("a PeerAuthentication in \(namespace): \(error)")
            }
        }
        cache[namespace] = (policies, .now + .seconds(30))
        return policies
    }

    /// Without the resource there are none: the sidecar is then left from an Istio that is gone, or an older one.
    private func items(in namespace: String) async throws(APIError) -> [JSONValue] {
        // v1 since Istio 1.22.
        for version in ["v1", "v1beta1"] {
            let path = "/apis/security.istio.io/\(version)/namespaces/\(namespace)/peerauthentications"
            do throws(APIError) {
                return try await client.get(path).object?["items"]?.array ?? []
            } catch {
                if error.code != 404 { throw error }
            }
        }
        return []
    }
}
