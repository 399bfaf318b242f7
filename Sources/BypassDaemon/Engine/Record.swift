internal import BypassAPI

/// What the kernel does not keep of a bypass: who wants it, and why.
struct Record: Codable, Hashable, Sendable {
    /// How the namespace was named.
    var netns: String
    /// The path that the name led to: found again without a walk through control groups.
    var path: String
    /// The namespace's own number, which no other has had since boot: an inode number is given again. nil before Linux
    /// 5.14, and for a bypass that was found without a record.
    var cookie: UInt64?
    var since: Timestamp
    var owner: String?
    var reason: String?
    var setBy: BypassStatus.Peer?
}
