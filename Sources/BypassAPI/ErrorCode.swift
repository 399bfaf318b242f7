/// The daemon's own JSON-RPC error codes. `data.kind` of an error is the case's `kind`.
public enum ErrorCode: Int, Codable, Hashable, Sendable, CaseIterable {
    case permissionDenied = -32001
    case netnsNotFound = -32002
    case notANetns = -32003
    case hostNetnsRefused = -32004
    case kernelRefused = -32005
    case unsupported = -32006
    case limitExceeded = -32007
    case conflict = -32008
    case netnsMismatch = -32009

    /// The name for programs.
    public var kind: String {
        switch self {
        case .permissionDenied: "permission-denied"
        case .netnsNotFound: "netns-not-found"
        case .notANetns: "not-a-netns"
        case .hostNetnsRefused: "host-netns-refused"
        case .kernelRefused: "kernel-refused"
        case .unsupported: "unsupported"
        case .limitExceeded: "limit-exceeded"
        case .conflict: "conflict"
        case .netnsMismatch: "netns-mismatch"
        }
    }

    /// When it is given.
    public var meaning: String {
        switch self {
        case .permissionDenied: "the policy does not let this user do this"
        case .netnsNotFound: "nothing has that name"
        case .notANetns: "it is there, but is no network namespace"
        case .hostNetnsRefused: "the host's own network namespace"
        case .kernelRefused: "the kernel said no: `data.operation`, `data.errno`"
        case .unsupported: "this kernel or namespace lacks what is needed"
        case .limitExceeded: "`data.limit` names the limit"
        case .conflict: "the namespace is not as the caller takes it to be: ask for its status again"
        case .netnsMismatch: "the namespace has none of the addresses that the caller expects there"
        }
    }
}

/// `error.data`: what a program needs to know of an error.
public struct ErrorData: Codable, Hashable, Sendable {
    public var kind: String
    /// Of `kernel-refused`: what was asked of the kernel.
    public var operation: String?
    /// Of `kernel-refused`: the name of the error number, such as `EPERM`.
    public var errno: String?
    /// Of `limit-exceeded`: the limit's name.
    public var limit: String?

    public init(_ code: ErrorCode, operation: String? = nil, errno: String? = nil, limit: String? = nil) {
        kind = code.kind
        self.operation = operation
        self.errno = errno
        self.limit = limit
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(kind, forKey: .kind)
        // Only what this kind has: a null would ask what it means.
        if let operation { try container.encode(operation, forKey: .operation) }
        if let errno { try container.encode(errno, forKey: .errno) }
        if let limit { try container.encode(limit, forKey: .limit) }
    }
}
