/// A kind of object that can be listed and watched.
package protocol KubernetesObject: Decodable, Sendable {
    var metadata: ObjectMeta { get }
}

/// The metadata of every object (`ObjectMeta` of meta/v1): the fields that are used here.
package struct ObjectMeta: Decodable, Hashable, Sendable {
    package var name: String
    package var namespace: String
    package var uid: String
    package var resourceVersion: String?
    package var labels: [String: String]
    package var annotations: [String: String]
    package var creationTimestamp: String?
    /// nil if the object is not being deleted.
    package var deletionTimestamp: String?

    package init(
        name: String, namespace: String = "", uid: String = "", resourceVersion: String? = nil,
        labels: [String: String] = [:], annotations: [String: String] = [:], creationTimestamp: String? = nil,
        deletionTimestamp: String? = nil
    ) {
        self.name = name
        self.namespace = namespace
        self.uid = uid
        self.resourceVersion = resourceVersion
        self.labels = labels
        self.annotations = annotations
        self.creationTimestamp = creationTimestamp
        self.deletionTimestamp = deletionTimestamp
    }

    private enum CodingKeys: CodingKey {
        case name, namespace, uid, resourceVersion, labels, annotations, creationTimestamp, deletionTimestamp
    }

    package init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        name = try container.decode(String.self, forKey: .name)
        namespace = try container.decodeIfPresent(String.self, forKey: .namespace) ?? ""
        uid = try container.decodeIfPresent(String.self, forKey: .uid) ?? ""
        resourceVersion = try container.decodeIfPresent(String.self, forKey: .resourceVersion)
        labels = try container.decodeIfPresent([String: String].self, forKey: .labels) ?? [:]
        annotations = try container.decodeIfPresent([String: String].self, forKey: .annotations) ?? [:]
        creationTimestamp = try container.decodeIfPresent(String.self, forKey: .creationTimestamp)
        deletionTimestamp = try container.decodeIfPresent(String.self, forKey: .deletionTimestamp)
    }
}
