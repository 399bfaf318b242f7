internal import Bypass
internal import BypassAPI

/// What is wanted of a namespace, by whom, and why. It is written before the kernel is asked for it, so that it is known
/// whatever happens to the daemon.
struct Record: Codable, Hashable, Sendable {
    /// How the namespace was named.
    var netns: String
    /// The path that the name led to: found again without a walk through control groups.
    var path: String
    /// The namespace's own number, which no other has had since boot: an inode number is given again. nil before Linux
    /// 5.14, and for a bypass that was found without a record.
    var cookie: UInt64?
    var since: Timestamp
    /// nil for a bypass that was found without a record, as `deadline`: the matcher's map knows.
    var direction: Direction?
    /// CLOCK_BOOTTIME in nanoseconds; 0 for a bypass that does not end by itself.
    var deadline: UInt64?
    /// nil in a record of a version without generations.
    var generation: Int?
    var owner: String?
    var reason: String?
    var setBy: BypassStatus.Peer?

    /// Whether another record is about the same wish, whoever had it again and by whatever name.
    func wishesTheSame(as other: Record) -> Bool {
        (direction, deadline, owner, reason) == (other.direction, other.deadline, other.owner, other.reason)
    }

    /// What is needed so that it is as it says.
    func care(given observation: Observation) -> ReconcileDecision {
        ReconcileDecision(hooks: direction?.hooks, deadline: deadline, given: observation)
    }
}
