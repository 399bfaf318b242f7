internal import Kubernetes

/// A mesh's proxy in a pod.
enum Sidecar: String, Hashable, Sendable, CaseIterable {
    case istio = "Istio"
    case linkerd = "Linkerd"
    case kuma = "Kuma"

    /// nil if the pod has none. Each mesh's injector leaves a container with a name of its own; Istio's an annotation, too.
    init?(in pod: Pod) {
        let names = Set(((pod.spec.containers ?? []) + pod.sidecars).map(\.name))
        if pod.metadata.annotations["sidecar.istio.io/status"] != nil {
            self = .istio
        } else if let found = Self.allCases.first(where: { names.contains($0.container) }) {
            self = found
        } else {
            return nil
        }
    }

    private var container: String {
        switch self {
        case .istio: "istio-proxy"
        case .linkerd: "linkerd-proxy"
        case .kuma: "kuma-sidecar"
        }
    }
}
