internal import Kubernetes
internal import PodBypass

/// Identifies a pod, also one that was deleted.
struct PodReference: Hashable, Sendable, CustomStringConvertible {
    var namespace: String
    var name: String
    var uid: String

    var description: String { "\(namespace)/\(name)" }
}

extension PodReference {
    init(_ pod: Pod) {
        self.init(namespace: pod.metadata.namespace, name: pod.metadata.name, uid: pod.metadata.uid)
    }
}

/// A bypass belongs to the controller if its owner is a pod: `kubernetes:NAMESPACE/NAME/UID`.
extension PodReference {
    private static let prefix = "kubernetes:"
    /// The daemon's limit for an owner, in bytes.
    private static let maxOwnerLength = 256

    /// nil if the owner is not a pod.
    init?(owner: String?) {
        guard let owner, owner.hasPrefix(Self.prefix) else { return nil }
        let parts = owner.dropFirst(Self.prefix.count).split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count == 3, parts.allSatisfy({ !$0.isEmpty }) else { return nil }
        self.init(namespace: String(parts[0]), name: String(parts[1]), uid: String(parts[2]))
    }

    /// A name may have 253 bytes: one that does not fit is truncated. The UID alone identifies the pod.
    var owner: String {
        let room = Self.maxOwnerLength - Self.prefix.utf8.count - namespace.utf8.count - uid.utf8.count - 2
        return Self.prefix + namespace + "/" + name.truncated(toBytes: max(room, 1)) + "/" + uid
    }
}
