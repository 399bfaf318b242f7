internal import Kubernetes

/// An error of the API server in words for a user, with what to do about it.
struct Refusal {
    enum Verb: String {
        case get, list, patch
    }

    let message: String

    /// - Parameter namespace: nil for all.
    init(_ error: APIError, _ verb: Verb, of resource: String = "pods", in namespace: String?) {
        let place = namespace.map { "in namespace \($0)" } ?? "in all namespaces"
        guard case .refused(let status) = error else {
            message = error.description
            return
        }
        message =
            switch status.code {
            case 401: "the API server does not accept your credentials: log in again, or choose another --context"
            case 403 where status.message.contains(" cannot \(verb.rawValue) resource "):
                "you may not \(verb.rawValue) \(resource) \(place): a \(namespace == nil ? "ClusterRole" : "Role") with verb "
                    + "\(verb.rawValue) on \(resource), bound to you, allows it (\(status.message))"
            case _ where error.isUIDMismatch: "it was deleted meanwhile"
            case 403 where verb == .patch, 422:
                "an admission policy of the cluster denies it: \(status.message)"
            case 409: "others keep changing it: try again (\(status.message))"
            default: error.description
            }
    }
}

extension APIError {
    /// Whether the server refuses what the request changes, or this user: the change of less may be allowed.
    var isDenial: Bool { code == 403 || code == 422 }
}
