public import JSONRPC
public import StrictJSON

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

    /// When it is returned.
    public var meaning: String {
        switch self {
        case .permissionDenied: "the policy does not allow this user to do this"
        case .netnsNotFound: "no such namespace"
        case .notANetns: "it exists, but is not a network namespace"
        case .hostNetnsRefused: "the host's own network namespace"
        case .kernelRefused: "the kernel refused an operation: `data.operation`, `data.errno`"
        case .unsupported: "this kernel or namespace lacks a required feature"
        case .limitExceeded: "`data.limit` names the limit"
        case .conflict: "the state of the namespace is not the one that the caller expects: get its status again"
        case .netnsMismatch: "the namespace has none of the addresses that the caller expects there"
        }
    }
}

extension ErrorCode {
    /// The error's details in an example.
    var example: ErrorData {
        switch self {
        case .kernelRefused: ErrorData(self, operation: "open /run/netns/web", errno: "EMFILE")
        case .limitExceeded: ErrorData(self, limit: Limits.Name.scopePorts.rawValue)
        default: ErrorData(self)
        }
    }
}

/// `error.data`: the details of an error for programs.
public struct ErrorData: Codable, JSONWritableObject, Hashable, Sendable {
    public var kind: String
    /// Of `kernel-refused`: the operation that the kernel refused.
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

    /// Writes only the members that this kind of error has.
    public func writeMembers(to text: inout JSONText) {
        text.member("kind", kind)
        if let operation { text.member("operation", operation) }
        if let errno { text.member("errno", errno) }
        if let limit { text.member("limit", limit) }
    }
}

extension ErrorData {
    static let schema = Schema.component(
        "ErrorData",
        .object(
            "`data` of the daemon's own errors; JSON-RPC's standard errors have none",
            [
                .init("kind", .component("ErrorKind", Schema(kind: .string, values: ErrorCode.allCases.map(\.kind)))),
                .init(
                    "operation", .string("of `kernel-refused`: what the kernel refused").orLeftOut, required: false),
                .init(
                    "errno", .string("of `kernel-refused`: the error number's name, such as `EPERM`").orLeftOut,
                    required: false),
                .init(
                    "limit", .oneOf(Limits.Name.self, "of `limit-exceeded`", named: "LimitName").orLeftOut,
                    required: false),
            ]))
}

extension ErrorObject {
    /// One of the daemon's own errors.
    public init(_ code: ErrorCode, _ message: String, _ data: ErrorData? = nil) {
        let data = data ?? ErrorData(code)
        let members = [
            ("kind", data.kind), ("operation", data.operation), ("errno", data.errno), ("limit", data.limit),
        ]
        self.init(
            code: code.rawValue, message: message,
            data: .object(
                JSONObject(uniqueMembers: members.compactMap { name, text in text.map { (name, .string($0)) } })))
    }

    /// A limit that the client has gone beyond.
    public init(_ limit: Limits.Name, _ limits: Limits) {
        self.init(
            .limitExceeded, "limit exceeded: at most \(limits.allowance(limit))",
            ErrorData(.limitExceeded, limit: limit.rawValue))
    }
}
