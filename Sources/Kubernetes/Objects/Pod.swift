/// A pod (core/v1): the fields that are used here.
public struct Pod: KubernetesObject, Hashable {
    public var metadata: ObjectMeta
    public var spec: Spec
    public var status: Status?

    public struct Spec: Decodable, Hashable, Sendable {
        public var nodeName: String?
        public var hostNetwork: Bool?
        public var containers: [Container]?
        public var initContainers: [Container]?

        public init(
            nodeName: String? = nil, hostNetwork: Bool? = nil, containers: [Container] = [],
            initContainers: [Container]? = nil
        ) {
            self.nodeName = nodeName
            self.hostNetwork = hostNetwork
            self.containers = containers
            self.initContainers = initContainers
        }
    }

    public struct Container: Decodable, Hashable, Sendable {
        public var name: String
        /// `Always` makes an init container a sidecar container (Kubernetes 1.28).
        public var restartPolicy: String?

        public init(_ name: String, restartPolicy: String? = nil) {
            self.name = name
            self.restartPolicy = restartPolicy
        }
    }

    public struct Status: Decodable, Hashable, Sendable {
        public var phase: String?
        public var conditions: [Condition]?
        public var podIP: String?
        public var podIPs: [Address]?
        public var initContainerStatuses: [ContainerStatus]?

        public init(
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

    public struct Condition: Decodable, Hashable, Sendable {
        public var type: String
        public var status: String

        public init(_ type: String, _ status: String) {
            self.type = type
            self.status = status
        }
    }

    public struct ContainerStatus: Decodable, Hashable, Sendable {
        public var name: String
        /// Of a sidecar container: whether it has started.
        public var started: Bool?
        public var state: State?

        public struct State: Decodable, Hashable, Sendable {
            public var terminated: Terminated?
        }

        public struct Terminated: Decodable, Hashable, Sendable {
            public var exitCode: Int
        }

        public init(_ name: String, started: Bool? = nil, exitCode: Int? = nil) {
            self.name = name
            self.started = started
            state = State(terminated: exitCode.map { Terminated(exitCode: $0) })
        }
    }

    public struct Address: Decodable, Hashable, Sendable {
        public var ip: String

        public init(_ ip: String) { self.ip = ip }
    }

    public init(metadata: ObjectMeta, spec: Spec, status: Status? = nil) {
        self.metadata = metadata
        self.spec = spec
        self.status = status
    }

    /// The init containers that keep running (Kubernetes 1.28); the others end before the pod runs.
    public var sidecars: [Container] { (spec.initContainers ?? []).filter { $0.restartPolicy == "Always" } }

    /// All of the pod's addresses, of both families.
    public var addresses: [String] {
        let all = status?.podIPs?.map(\.ip) ?? []
        return all.isEmpty ? [status?.podIP].compactMap { $0?.isEmpty == false ? $0 : nil } : all
    }

    /// The UID in the name of the pod's cgroup. A static pod's differs from `metadata.uid`: the API server knows the pod by a
    /// mirror pod, which has a UID of its own.
    public var kubeletUID: String {
        metadata.annotations["kubernetes.io/config.mirror"] == nil
            ? metadata.uid : metadata.annotations["kubernetes.io/config.hash"] ?? metadata.uid
    }
}
