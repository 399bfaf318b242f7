internal import BypassAPI
internal import Kubernetes
internal import PodBypass

/// A pod's bypass, as the pod's labels and annotations say; the element of `-o json`.
struct PodReport: Hashable, Sendable {
    var namespace: String
    var name: String
    var uid: String
    var node: String?
    /// Whether the label asks for a bypass.
    var isAsked: Bool
    /// The controller's report; nil without one.
    var status: String?
    /// The claims of the label's author.
    var setAt: Timestamp?
    var setBy: String?
    var options: [String: String]
    /// The facts about the requested bypass.
    var warnings: [Warning] = []
    /// The reason that the command has failed for this pod.
    var error: String?

    struct Warning: Hashable, Encodable, Sendable {
        var code: String
        var message: String
    }

    init(_ pod: Pod, error: String? = nil) {
        let annotations = pod.metadata.annotations
        namespace = pod.metadata.namespace
        name = pod.metadata.name
        uid = pod.metadata.uid
        node = pod.spec.nodeName
        isAsked = pod.metadata.labels[BypassLabel.key] == BypassLabel.enabled
        status = annotations[Annotations.status]
        setAt = annotations[Annotations.setAt].flatMap(Timestamp.init)
        setBy = annotations[Annotations.setBy]
        options = annotations.filter { Annotations.options.contains($0.key) }
        self.error = error
    }

    var fullName: String { "\(namespace)/\(name)" }
    var reported: ReportedStatus? { status.map(ReportedStatus.init) }
    var reason: String? { options[Annotations.reason] }

    /// One word for programs: that of the controller's status, or what its absence means.
    var state: String { reported?.state.rawValue ?? (isAsked ? "unreported" : "off") }

    /// For users: the status, or what its absence means.
    var words: String {
        status ?? (isAsked ? "no controller has reported on it yet" : "off")
    }

    /// Direction and scope; nil if all connections are meant.
    var scope: String? {
        let parts = [
            options[Annotations.direction], options[Annotations.ports].map { "ports \($0)" },
            options[Annotations.networks].map { "networks \($0)" },
        ].compactMap(\.self)
        return parts.isEmpty ? nil : parts.joined(separator: ", ")
    }
}

extension PodReport: Encodable {
    private enum CodingKeys: String, CodingKey {
        case namespace, name, uid, node, asked, state, status, effective, until, since, by, reason, direction, ttl,
            ports
        case networks, connections, warnings, error
    }

    func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(namespace, forKey: .namespace)
        try container.encode(name, forKey: .name)
        try container.encode(uid, forKey: .uid)
        try container.encode(node, forKey: .node)
        try container.encode(isAsked, forKey: .asked)
        try container.encode(state, forKey: .state)
        try container.encode(status, forKey: .status)
        try container.encode(reported?.isEffective, forKey: .effective)
        try container.encode(reported?.until, forKey: .until)
        try container.encode(setAt, forKey: .since)
        try container.encode(setBy, forKey: .by)
        try container.encode(reason, forKey: .reason)
        try container.encode(options[Annotations.direction], forKey: .direction)
        try container.encode(options[Annotations.ttl], forKey: .ttl)
        try container.encode(options[Annotations.ports], forKey: .ports)
        try container.encode(options[Annotations.networks], forKey: .networks)
        try container.encode(options[Annotations.connections], forKey: .connections)
        try container.encode(warnings, forKey: .warnings)
        try container.encode(error, forKey: .error)
    }
}

/// The whole of `-o json`.
struct PodReports: Encodable {
    var pods: [PodReport]
    /// The reasons that some targets have no pods.
    var errors: [String] = []
}
