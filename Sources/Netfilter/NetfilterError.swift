package import Linux
package import SystemPackage

/// What can go wrong between us and netfilter.
package enum NetfilterError: Error, Hashable, Sendable {
    /// The kernel refused one message of a batch, so all of it. `detail` is the kernel's own word, where it has one.
    case refused(Transaction.Operation, Errno, detail: String?)
    /// The ruleset is not the one that was read: read again and plan again.
    case rulesetChanged
    case systemCall(SystemCallError)
}
