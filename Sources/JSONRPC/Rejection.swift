internal import StrictJSON

/// A line, or an entry of a batch, that is not a request and is answered with an error.
public struct Rejection: Sendable, Hashable {
    public enum Limit: String, Sendable, Hashable {
        case depth
        case batch
    }

    public enum Reason: Sendable, Hashable {
        /// The line is not JSON.
        case parseError(String)
        /// The JSON is not a request.
        case invalidRequest(String)
        /// The line goes beyond a limit. JSON-RPC has no code for this; the server has.
        case limitExceeded(Limit, allowed: Int)
    }

    /// The id of the answer: the entry's, or null where that has none or one of an unsupported type.
    public let id: RequestID
    public let reason: Reason

    public init(id: RequestID, reason: Reason) {
        self.id = id
        self.reason = reason
    }

    /// The error to answer with, nil for a limit, whose code is the server's.
    public var error: ErrorObject? {
        switch reason {
        case .parseError(let detail): .parseError.detailed(detail)
        case .invalidRequest(let detail): .invalidRequest.detailed(detail)
        case .limitExceeded: nil
        }
    }
}

extension Rejection.Reason {
    init(_ error: JSONReadError) {
        switch error {
        case .malformed: self = .parseError(error.description)
        case .tooDeep(let limit, _): self = .limitExceeded(.depth, allowed: limit)
        }
    }
}
