internal import Kubernetes
internal import StrictJSON

/// Finds out whether Istio has a pod's peers insist on mTLS, which a bypassed pod does not speak.
actor MutualTLS {
    private let client: APIClient
    /// By namespace; nil where there are none to be seen. Kept for a little while, for pods that are labelled together.
    private var known: [String: (rules: [PeerAuthentication], until: ContinuousClock.Instant)] = [:]

    /// Where Istio keeps what holds for the whole mesh, unless it was installed otherwise.
    private static let root = "istio-system"

    init(_ client: APIClient) {
        self.client = client
    }

    /// The rule that is in force for a pod, if it is a strict one.
    func strictRule(for pod: Pod) async -> PeerAuthentication? {
        let own = await rules(in: pod.metadata.namespace)
        let mesh = pod.metadata.namespace == Self.root ? [] : await rules(in: Self.root)
        let rule = Self.inForce(for: pod.metadata.labels, own: own, mesh: mesh)
        return rule?.spec?.mtls?.mode == "STRICT" ? rule : nil
    }

    /// The narrowest rule that says something: of the workload, the namespace, the mesh. Of several the oldest.
    static func inForce(
        for labels: [String: String], own: [PeerAuthentication], mesh: [PeerAuthentication]
    ) -> PeerAuthentication? {
        func oldest(_ rules: [PeerAuthentication]) -> PeerAuthentication? {
            rules.filter { ![nil, "UNSET"].contains($0.spec?.mtls?.mode) }.min {
                ($0.metadata.creationTimestamp ?? "", $0.metadata.name)
                    < ($1.metadata.creationTimestamp ?? "", $1.metadata.name)
            }
        }
        func selects(_ rule: PeerAuthentication) -> Bool {
            rule.selector.allSatisfy { labels[$0.key] == $0.value }
        }
        return oldest(own.filter { !$0.selector.isEmpty && selects($0) })
            ?? oldest(own.filter(\.selector.isEmpty)) ?? oldest(mesh.filter(\.selector.isEmpty))
    }

    private func rules(in namespace: String) async -> [PeerAuthentication] {
        if let known = known[namespace], known.until > .now { return known.rules }
        let rules = await items(in: namespace).compactMap {
            try? JSONDecoding.decode(PeerAuthentication.self, from: $0, unknownMembers: .ignore)
        }
        known[namespace] = (rules, .now + .seconds(30))
        return rules
    }

    /// No such resource, or no permission to see it: then nothing is known, and nothing is wrong.
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
