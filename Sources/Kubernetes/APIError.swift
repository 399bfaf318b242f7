internal import StrictJSON

/// The reason for a failed request to the API server. `description` is a clause without a full stop.
package enum APIError: Error, Hashable, Sendable {
    /// The connection failed: DNS, TCP or TLS.
    case unreachable(String)
    case timedOut
    /// The server responded with an error.
    case refused(APIStatus)
    /// The response cannot be decoded.
    case invalidAnswer(String)
    /// The client's own token cannot be read.
    case credentials(String)
    /// The task was cancelled.
    case cancelled

    /// The HTTP status code of a refusal.
    package var code: Int? {
        guard case .refused(let status) = self else { return nil }
        return status.code
    }

    /// The wait that the server asks for, as far as that is accepted of a server, or of a proxy.
    package var retryAfter: Duration? {
        guard case .refused(let status) = self, let seconds = status.retryAfter else { return nil }
        return .seconds(min(max(seconds, 0), 300))
    }
}

/// The API server's response to a request that it refuses (`Status` of meta/v1).
package struct APIStatus: Hashable, Sendable {
    /// The HTTP status code.
    package var code: Int
    /// For programs, such as `NotFound` or `Expired`.
    package var reason: String
    /// For users.
    package var message: String
    /// Seconds to wait before a retry.
    package var retryAfter: Int?
    /// The fields of the object that are why, such as `metadata.uid`.
    package var causes: [String]

    package init(
        code: Int, reason: String = "", message: String = "", retryAfter: Int? = nil, causes: [String] = []
    ) {
        self.code = code
        self.reason = reason
        self.message = message
        self.retryAfter = retryAfter
        self.causes = causes
    }

    /// Reads the fields that are there: a proxy may respond with anything.
    init(_ value: JSONValue?, code: Int? = nil) {
        let object = value?.object
        let details = object?["details"]?.object
        self.init(
            code: code ?? Self.integer(object?["code"]) ?? 500, reason: object?["reason"]?.string ?? "",
            message: object?["message"]?.string ?? "", retryAfter: Self.integer(details?["retryAfterSeconds"]),
            causes: (details?["causes"]?.array ?? []).compactMap { $0.object?["field"]?.string })
    }

    private static func integer(_ value: JSONValue?) -> Int? {
        guard case .number(let number) = value else { return nil }
        return Int(exactly: number)
    }
}

extension APIError {
    /// Whether a patch with a UID was refused because that object does not exist, even if another one has its name now. The
    /// API server reports a UID that does not match as invalid (422), like what an admission policy denies, and names the
    /// field. Implementations that report a conflict (409) name the UID; other conflicts are transient.
    package var isUIDMismatch: Bool {
        guard case .refused(let status) = self else { return false }
        return switch status.code {
        case 404: true
        case 422: status.causes.contains("metadata.uid")
        // The message names the pod, too: its name may have these letters.
        case 409: status.message.contains("UID") || status.message.contains("metadata.uid")
        default: false
        }
    }
}

extension APIError: CustomStringConvertible {
    package var description: String {
        switch self {
        case .unreachable(let reason): "the API server cannot be reached: \(reason)"
        case .timedOut: "the API server did not answer in time"
        case .refused(let status):
            "the API server refused with \(status.code)"
                + (status.message.isEmpty ? status.reason.isEmpty ? "" : " \(status.reason)" : ": \(status.message)")
        case .invalidAnswer(let reason): "the API server sent an invalid response: \(reason)"
        case .credentials(let reason): reason
        case .cancelled: "the request was cancelled"
        }
    }
}
