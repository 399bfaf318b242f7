internal import StrictJSON

/// Why a request to the API server gave no result. `description` is a clause for people, without full stop.
public enum APIError: Error, Hashable, Sendable {
    /// No connection, or it broke: DNS, TCP or TLS.
    case unreachable(String)
    case timedOut
    /// The server said no.
    case refused(APIStatus)
    /// What the server sent cannot be understood.
    case invalidAnswer(String)
    /// The client's own token cannot be read.
    case credentials(String)
    /// The task was cancelled.
    case cancelled

    /// The HTTP code of a refusal.
    public var code: Int? {
        guard case .refused(let status) = self else { return nil }
        return status.code
    }
}

/// What the API server says of a request that it does not carry out (`Status` of meta/v1).
public struct APIStatus: Hashable, Sendable {
    /// As in HTTP.
    public var code: Int
    /// For programs, such as `NotFound` or `Expired`.
    public var reason: String
    /// For people.
    public var message: String
    /// Seconds that the server wants to be left alone.
    public var retryAfter: Int?

    public init(code: Int, reason: String = "", message: String = "", retryAfter: Int? = nil) {
        self.code = code
        self.reason = reason
        self.message = message
        self.retryAfter = retryAfter
    }

    /// Reads what it can: a proxy in between may answer with anything.
    init(_ value: JSONValue?, code: Int? = nil) {
        let object = value?.object
        let details = object?["details"]?.object
        self.init(
            code: code ?? Self.integer(object?["code"]) ?? 500, reason: object?["reason"]?.string ?? "",
            message: object?["message"]?.string ?? "", retryAfter: Self.integer(details?["retryAfterSeconds"]))
    }

    private static func integer(_ value: JSONValue?) -> Int? {
        guard case .number(let number) = value else { return nil }
        return Int(exactly: number)
    }
}

extension APIError: CustomStringConvertible {
    public var description: String {
        switch self {
        case .unreachable(let reason): "the API server cannot be reached: \(reason)"
        case .timedOut: "the API server did not answer in time"
        case .refused(let status):
            "the API server refused with \(status.code)"
                + (status.message.isEmpty ? status.reason.isEmpty ? "" : " \(status.reason)" : ": \(status.message)")
        case .invalidAnswer(let reason): "the API server sent what makes no sense: \(reason)"
        case .credentials(let reason): reason
        case .cancelled: "the request was cancelled"
        }
    }
}
