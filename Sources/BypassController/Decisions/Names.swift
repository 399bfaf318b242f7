/// What people write on a pod, and what the controller writes there.
enum Names {
    static let label = "kmesh.net/bypass"
    static let enabled = "enabled"
    static let selector = "\(label)=\(enabled)"

    static let direction = "kmesh.net/bypass-direction"
    static let ttl = "kmesh.net/bypass-ttl"
    static let reason = "kmesh.net/bypass-reason"
    /// The controller's: how it stands with the pod.
    static let status = "kmesh.net/bypass-status"
}

/// Which pod: what is needed to speak of one that may have gone.
struct PodName: Hashable, Sendable {
    var namespace: String
    var name: String
    var uid: String
}

/// A bypass is the controller's if its owner is a pod: `kubernetes:NAMESPACE/NAME/UID`.
extension PodName {
    private static let prefix = "kubernetes:"
    /// What the daemon takes as an owner, in bytes.
    private static let longest = 256

    /// nil if the owner is no pod.
    init?(owner: String?) {
        guard let owner, owner.hasPrefix(Self.prefix) else { return nil }
        let parts = owner.dropFirst(Self.prefix.count).split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count == 3, parts.allSatisfy({ !$0.isEmpty }) else { return nil }
        self.init(namespace: String(parts[0]), name: String(parts[1]), uid: String(parts[2]))
    }

    /// A name may have 253 bytes: one for which there is no room is cut. It is the UID that counts.
    var owner: String {
        let room = Self.longest - Self.prefix.utf8.count - namespace.utf8.count - uid.utf8.count - 2
        return Self.prefix + namespace + "/" + name.prefix(max(room, 1)) + "/" + uid
    }
}
