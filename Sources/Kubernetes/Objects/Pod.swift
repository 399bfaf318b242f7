/// A pod (core/v1): the fields that are used here.
package struct Pod: KubernetesObject, Hashable {
    package var metadata: ObjectMeta
    package var spec: Spec
    package var status: Status?

    package struct Spec: Decodable, Hashable, Sendable {
        package var nodeName: String?
        package var hostNetwork: Bool?
        package var containers: [Container]?
        package var initContainers: [Container]?

        package init(
            nodeName: String? = nil, hostNetwork: Bool? = nil, containers: [Container] = [],
            initContainers: [Container]? = nil
        ) {
            self.nodeName = nodeName
            self.hostNetwork = hostNetwork
            self.containers = containers
            self.initContainers = initContainers
        }
    }

    package struct Container: Decodable, Hashable, Sendable {
        package var name: String
        /// `Always` makes an init container a sidecar container (Kubernetes 1.28).
        package var restartPolicy: String?

        package init(_ name: String, restartPolicy: String? = nil) {
            self.name = name
            self.restartPolicy = restartPolicy
        }
    }

    package struct Status: Decodable, Hashable, Sendable {
        package var phase: String?
        package var conditions: [Condition]?
        package var podIP: String?
        package var podIPs: [Address]?
        package var initContainerStatuses: [ContainerStatus]?

        package init(
            phase: String? = nil, conditions: [Condition]? = nil, podIP: String? = nil, podIPs: [Address]? = nil,
            initContainerStatuses: [ContainerStatus]? = nil
        ) {
            self.phase = phase
            self.conditions = conditions
            self.podIP = podIP
            self.podIPs = podIPs
            self.initContainerStatuses = initContainerStatuses
        }
    }

    package struct Condition: Decodable, Hashable, Sendable {
        package var type: String
        package var status: String

        package init(_ type: String, _ status: String) {
            self.type = type
            self.status = status
        }
    }

    package struct ContainerStatus: Decodable, Hashable, Sendable {
        package var name: String
        /// Of a sidecar container: whether it has started.
        package var started: Bool?
        package var state: State?

        package struct State: Decodable, Hashable, Sendable {
            package var terminated: Terminated?
        }

        package struct Terminated: Decodable, Hashable, Sendable {
            package var exitCode: Int
        }

        package init(_ name: String, started: Bool? = nil, exitCode: Int? = nil) {
            self.name = name
            self.started = started
            state = State(terminated: exitCode.map { Terminated(exitCode: $0) })
        }
    }

    package struct Address: Decodable, Hashable, Sendable {
        package var ip: String

        package init(_ ip: String) { self.ip = ip }
    }

    package init(metadata: ObjectMeta, spec: Spec, status: Status? = nil) {
        self.metadata = metadata
        self.spec = spec
        self.status = status
    }

    /// The init containers that keep running (Kubernetes 1.28); the others end before the pod runs.
    package var sidecars: [Container] { (spec.initContainers ?? []).filter { $0.restartPolicy == "Always" } }

    /// Whether all containers have ended, and will not start again.
    package var hasEnded: Bool { ["Succeeded", "Failed"].contains(status?.phase) }

    /// All of the pod's addresses, of both families.
    package var addresses: [String] {
        let all = status?.podIPs?.map(\.ip) ?? []
        return all.isEmpty ? [status?.podIP].compactMap { $0?.isEmpty == false ? $0 : nil } : all
    }

    /// The UID in the name of the pod's cgroup. A static pod's differs from `metadata.uid`: the API server knows the pod by a
    /// mirror pod, which has a UID of its own.
    package var kubeletUID: String {
        metadata.annotations["kubernetes.io/config.mirror"] == nil
            ? metadata.uid : metadata.annotations["kubernetes.io/config.hash"] ?? metadata.uid
    }
}
