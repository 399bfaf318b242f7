internal import Bypass
internal import BypassPolicy
internal import Synchronization

/// The policy that is in force, from the policy file, read at the start and at each reload.
final class PolicyStore: Sendable {
    private let path: String
    private let policy: Mutex<Policy>

    /// - Throws: if the file is there and not in order.
    init(path: String) throws(PolicyLoadingError) {
        let read = try Self.read(path)
        self.path = path
        policy = Mutex(read)
    }

    /// Asked for each call: a reload counts from the next call on, also on connections that stand.
    var current: Policy { policy.withLock(\.self) }

    /// For people: where it is from, and how much it says.
    var summary: String {
        let current = current
        return current.isBuiltIn ? "built-in, for want of \(path)" : "\(path), grants: \(current.grants.count)"
    }

    /// Reads the file again. If it is not in order, what was in force stays.
    func reload() throws(PolicyLoadingError) {
        let read = try Self.read(path)
        policy.withLock { $0 = read }
    }

    private static func read(_ path: String) throws(PolicyLoadingError) -> Policy {
        let loaded = try PolicyFile.load(path)
        if let untrustedReason = loaded.untrustedReason { throw PolicyLoadingError(lines: [untrustedReason]) }
        return loaded.policy
    }
}
