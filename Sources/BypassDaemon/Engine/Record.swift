internal import BypassAPI

/// What the kernel does not keep of a bypass: who wants it, and why.
struct Record: Codable, Hashable, Sendable {
    /// How the namespace was named.
    var netns: String
    /// The path that the name led to: found again without a walk through control groups.
    var path: String
    var since: Timestamp
    var owner: String?
    var reason: String?
    var setBy: BypassStatus.Peer?
}
