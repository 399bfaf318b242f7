internal import Kubernetes
internal import PodBypass

/// Whether a labelled pod can be bypassed.
enum Eligibility: Hashable, Sendable {
    case eligible(BypassSpec)
    /// Not yet; why.
    case notYet(String)
    /// Not as the pod is; why, and what to do: one sentence.
    case ineligible(String)
    /// All containers have ended, and will not start again.
    case ended
    /// The pod is being deleted: no bypass is started, and an existing one ends with the pod.
    case terminating

    init(of pod: Pod, sidecars: Sidecars) {
        if pod.metadata.deletionTimestamp != nil {
            self = .terminating
        } else if pod.hasEnded {
            self = .ended
        } else if pod.spec.hostNetwork == true {
            self = .ineligible("the pod uses the host's network, which no sidecar redirects: remove the label")
        } else if sidecars.mesh(of: pod) == nil {
            self = .ineligible(
                "the pod has no sidecar to bypass (none of its containers is \(sidecars.names)): remove the label, or start "
                    + "the controller with --sidecar NAME")
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
        if !pod.isInitialized { return "its init containers have not finished" }
        if pod.status?.phase != "Running" { return "it is not running yet" }
        return pod.addresses.isEmpty ? "it has no address yet" : nil
    }
}

extension Pod {
    /// The condition decides where it is true: it stays so while a sidecar among the init containers crashes and restarts,
    /// and becomes false if all of them run again in a new sandbox. The kubelet may set it a moment later than the statuses.
    fileprivate var isInitialized: Bool {
        switch status?.conditions?.first(where: { $0.type == "Initialized" })?.status {
        case "True": true
        case "False": false
        default: !hasUnfinishedInitContainer
        }
    }

    private var hasUnfinishedInitContainer: Bool {
        let sidecars = Set(sidecars.map(\.name))
        return (status?.initContainerStatuses ?? []).contains { container in
            sidecars.contains(container.name)
                ? container.started == false : container.state?.terminated?.exitCode != 0
        }
    }
}
