/// The service mesh that has put a sidecar into a pod, as far as its container's name says.
package enum Mesh: Hashable, Sendable {
    case istio, linkerd, kuma, consul
    /// App Mesh and Open Service Mesh give it the same name.
    case envoy
    /// Its container was named with `--sidecar`.
    case other
}

/// The names of the containers that are sidecars.
package struct Sidecars: Hashable, Sendable {
    /// By container; each mesh's injector uses one name.
    private static let known: [(container: String, mesh: Mesh)] = [
        ("istio-proxy", .istio), ("linkerd-proxy", .linkerd), ("kuma-sidecar", .kuma), ("consul-dataplane", .consul),
        // Consul before 1.0.
        ("envoy-sidecar", .consul), ("envoy", .envoy),
    ]

    private let others: Set<String>

    /// - Parameter others: names of more containers that are sidecars.
    package init(others: some Sequence<String> = []) {
        self.others = Set(others)
    }

    /// As a message lists them.
    package var names: String { (Self.known.map(\.container) + others.sorted()).joined(separator: ", ") }

    /// The mesh that has put a sidecar into the pod; nil if the pod has none. Istio's injector also adds an annotation.
    package func mesh(of pod: Pod) -> Mesh? {
        if pod.metadata.annotations["sidecar.istio.io/status"] != nil { return .istio }
        let names = Set(((pod.spec.containers ?? []) + pod.sidecars).map(\.name))
        if let known = Self.known.first(where: { names.contains($0.container) }) { return known.mesh }
        return names.isDisjoint(with: others) ? nil : .other
    }
}
