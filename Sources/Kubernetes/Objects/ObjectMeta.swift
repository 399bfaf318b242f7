/// A kind of object that can be listed and watched.
public protocol KubernetesObject: Decodable, Sendable {
    var metadata: ObjectMeta { get }
}

/// The metadata of every object (`ObjectMeta` of meta/v1): the fields that are used here.
public struct ObjectMeta: Decodable, Hashable, Sendable {
    public var name: String
    public var namespace: String
    public var uid: String
    public var resourceVersion: String?
    public var labels: [String: String]
    public var annotations: [String: String]
    public var creationTimestamp: String?
    /// nil if the object is not being deleted.
    public var deletionTimestamp: String?

    public init(
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

    public init(from decoder: any Decoder) throws {
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
