package import BypassAPI

/// The reason for a failed call. After any of these nothing has changed.
package enum BypassError: Error, Hashable, Sendable {
    case permissionDenied(String)
    case netnsNotFound(String)
    case notNetns(String)
    case hostNetnsRefused(String)
    /// `errno` is the name of the number, such as `EPERM`; `detail` says more, for people.
    case kernelRefused(operation: String, errno: String, detail: String)
    case unsupported(String)
    case invalidParameter(String)
    /// The namespace is not as the caller takes it to be.
    case conflict(String)
    /// The name leads to another namespace than the caller expects.
    case netnsMismatch(String)
    /// One that no setting changes.
    case limitExceeded(Limits.Name)

    /// The sentence for people.
    public var message: String {
        switch self {
        case .permissionDenied(let text), .netnsNotFound(let text), .notNetns(let text), .hostNetnsRefused(let text),
            .kernelRefused(_, _, let text), .unsupported(let text), .invalidParameter(let text), .conflict(let text),
            .netnsMismatch(let text):
            text
        case .limitExceeded(let limit): "limit exceeded: at most \(Limits().allowance(limit))"
        }
    }
}
