import BypassAPI
import Kubernetes

@testable import BypassController

/// A running pod in a mesh, unless the arguments say otherwise.
func pod(
    labels: [String: String] = [:], annotations: [String: String] = [:], hostNetwork: Bool? = nil,
    containers: [String] = ["app", "istio-proxy"], initContainers: [Pod.Container]? = nil, phase: String? = "Running",
    initialized: String? = "True", initStatuses: [Pod.ContainerStatus]? = nil,
    addresses: [String] = ["10.0.0.7"], deletionTimestamp: String? = nil
) -> Pod {
    Pod(
        metadata: ObjectMeta(
            name: "web", namespace: "default", uid: "u-1", labels: labels, annotations: annotations,
            deletionTimestamp: deletionTimestamp),
        spec: Pod.Spec(
            nodeName: "node-a", hostNetwork: hostNetwork, containers: containers.map { Pod.Container($0) },
            initContainers: initContainers),
        status: Pod.Status(
            phase: phase, conditions: initialized.map { [Pod.Condition("Initialized", $0)] },
            podIPs: addresses.map(Pod.Address.init), initContainerStatuses: initStatuses))
}

func bypass(
    _ direction: Direction = .both, until end: Int64? = nil, reason: String? = nil, state: BypassStatus.State = .on,
    effective: Bool = true, effect: BypassStatus.Effect? = nil, only: ConnectionSet? = nil, warnings: [String] = [],
    generation: Int = 7, inode: UInt64 = 42
) -> BypassStatus {
    BypassStatus(
        netns: "pod:u-1", inode: inode, state: state, effective: effective, effect: effect, direction: direction,
        only: only,
        since: Timestamp(secondsSince1970: 0), expiresAt: end.map { Timestamp(secondsSince1970: $0) },
        owner: "kubernetes:default/web/u-1", reason: reason, generation: generation,
        warnings: warnings.map { .init(code: $0, message: "about \($0)") })
}

func at(_ seconds: Int64) -> Timestamp { Timestamp(secondsSince1970: seconds) }
