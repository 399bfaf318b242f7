internal import Kubernetes

/// Whether a labelled pod can be bypassed.
enum Eligibility: Hashable, Sendable {
    case eligible(BypassSpec)
    /// Not yet; why.
    case notYet(String)
    /// Never, as the pod is; why, and what to do: one sentence.
    case ineligible(String)
    /// The pod is being deleted: no bypass is started, and an existing one ends with the pod.
    case terminating

    init(of pod: Pod) {
        if pod.metadata.deletionTimestamp != nil {
            self = .terminating
        } else if pod.spec.hostNetwork == true {
            self = .ineligible("the pod uses the host's network, which no sidecar redirects: remove the label")
        } else if Sidecar(in: pod) == nil {
            self = .ineligible("the pod has no sidecar of Istio, Linkerd or Kuma to bypass: remove the label")
        } else if let phase = pod.status?.phase, ["Succeeded", "Failed"].contains(phase) {
            self = .ineligible("the pod has ended")
        } else {
            do throws(BypassSpec.Malformed) {
                let spec = try BypassSpec(annotations: pod.metadata.annotations)
                self = Self.notReadyReason(pod).map { .notYet($0) } ?? .eligible(spec)
            } catch {
                self = .ineligible(error.message)
            }
        }
    }

    /// Why the pod cannot be bypassed now; nil if it can. Init containers have to finish first: a mesh's validator among
    /// them checks that traffic is redirected, and would fail the pod.
    private static func notReadyReason(_ pod: Pod) -> String? {
        let isInitialized = pod.status?.conditions?.first { $0.type == "Initialized" }?.status != "False"
        if !isInitialized || pod.hasUnfinishedInitContainer { return "its init containers have not finished" }
        if pod.status?.phase != "Running" { return "it is not running yet" }
        return pod.addresses.isEmpty ? "it has no address yet" : nil
    }
}

extension Pod {
    /// As far as the kubelet has reported: it sets the condition a moment later.
    fileprivate var hasUnfinishedInitContainer: Bool {
        let sidecars = Set(sidecars.map(\.name))
        return (status?.initContainerStatuses ?? []).contains { container in
            sidecars.contains(container.name)
                ? container.started == false : container.state?.terminated?.exitCode != 0
        }
    }
}

/// The proxy of a service mesh in a pod.
enum Sidecar: String, Hashable, Sendable, CaseIterable {
    case istio = "Istio"
    case linkerd = "Linkerd"
    case kuma = "Kuma"

    /// nil if the pod has none. Each mesh's injector adds a container with a fixed name; Istio's also adds an annotation.
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
