internal import Kubernetes

/// What the label asks for, given what the pod is.
enum Verdict: Hashable, Sendable {
    case bypass(Options)
    /// Not yet: why.
    case wait(String)
    /// Never, as the pod is: why, and what to do; one sentence.
    case refuse(String)
    /// It is being deleted: nothing is begun, and what there is goes with it.
    case leave

    init(of pod: Pod) {
        if pod.metadata.deletionTimestamp != nil {
            self = .leave
        } else if pod.spec.hostNetwork == true {
            self = .refuse("the pod is in the host's network, which no sidecar redirects: take the label off")
        } else if Sidecar(in: pod) == nil {
            self = .refuse(
                "the pod has no sidecar of Istio, Linkerd or Kuma that could be bypassed: take the label off")
        } else if let phase = pod.status?.phase, ["Succeeded", "Failed"].contains(phase) {
            self = .refuse("the pod has ended")
        } else {
            do throws(Options.Malformed) {
                let options = try Options(annotations: pod.metadata.annotations)
                self = Self.obstacle(pod).map { .wait($0) } ?? .bypass(options)
            } catch {
                self = .refuse(error.sentence)
            }
        }
    }

    /// Why the pod cannot be bypassed now. Init containers come first: a mesh's validator among them, which asks whether
    /// traffic is redirected, would fail the pod.
    private static func obstacle(_ pod: Pod) -> String? {
        let isInitialized = pod.status?.conditions?.first { $0.type == "Initialized" }?.status != "False"
        if !isInitialized || pod.hasUnfinishedInitContainer { return "its init containers have not finished" }
        if pod.status?.phase != "Running" { return "it is not running yet" }
        return pod.addresses.isEmpty ? "it has no address yet" : nil
    }
}

extension Pod {
    /// As far as the kubelet has told: it sets the condition a moment later.
    fileprivate var hasUnfinishedInitContainer: Bool {
        let sidecars = Set(sidecars.map(\.name))
        return (status?.initContainerStatuses ?? []).contains { container in
            sidecars.contains(container.name)
                ? container.started == false : container.state?.terminated?.exitCode != 0
        }
    }
}
