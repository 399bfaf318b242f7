internal import Bypass
internal import Synchronization

/// How the bypasses fare of which not all is well, or was not long ago; by inode.
final class Conditions: Sendable {
    struct Condition {
        /// Whether everybody has been told that it is degraded.
        var isDegraded = false
        var pace = ExponentialBackoff.repair
        /// What was complained about last in the log: the same again is not.
        var complaint: String?
    }

    private let conditions = Mutex<[UInt64: Condition]>([:])

    subscript(inode: UInt64) -> Condition { conditions.withLock { $0[inode] ?? Condition() } }

    func change<Result>(_ inode: UInt64, _ body: (inout Condition) -> Result) -> Result {
        conditions.withLock { body(&$0[inode, default: Condition()]) }
    }

    /// All is well.
    ///
    /// - Returns: whether everybody takes it to be degraded.
    @discardableResult
    func noteWhole(_ inode: UInt64) -> Bool {
        conditions.withLock { conditions in
            guard var condition = conditions[inode] else { return false }
            defer { conditions[inode] = condition }
            let wasDegraded = condition.isDegraded
            (condition.isDegraded, condition.complaint) = (false, nil)
            return wasDegraded
        }
    }

    /// The bypass has ended.
    func forget(_ inode: UInt64) {
        conditions.withLock { $0[inode] = nil }
    }
}
