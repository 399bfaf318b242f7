public import StrictJSON
import Synchronization

/// RBAC and admission: what a server refuses although the request itself is right.
struct Authorization: Sendable {
    /// What RBAC allows.
    var permissions = Set(APIServer.Permission.allCases)
    /// What decides about writes; nil admits all.
    var admission: APIServer.Admission?

    func refusal(of request: APIServer.Request) -> Response? {
        guard let location = APIServer.Location(request.path), APIServer.collections.contains(location.collection),
            let permission = APIServer.Permission(request), !permissions.contains(permission)
        else { return nil }
        let resource = location.resource
        let verb =
            request.isWatch ? "watch" : ["GET": "list", "POST": "create"][request.verb] ?? request.verb.lowercased()
        return .status(
            403, "Forbidden",
            #"\#(resource) is forbidden: User "controller" cannot \#(verb) resource "\#(resource)" in API group """#)
    }
}

extension APIServer {
    /// What a role allows the controller.
    public enum Permission: Hashable, Sendable, CaseIterable {
        case readPods, patchPods, writeEvents

        init?(_ request: Request) {
            let isRead = request.verb == "GET"
            switch Location(request.path)?.resource {
            case "pods": self = isRead ? .readPods : .patchPods
            case "events" where !isRead: self = .writeEvents
            default: return nil
            }
        }
    }

    /// An admission policy's refusal.
    public struct Denial: Hashable, Sendable {
        public var code: Int
        public var reason: String
        public var message: String

        public init(_ code: Int, _ reason: String, _ message: String) {
            (self.code, self.reason, self.message) = (code, reason, message)
        }
    }

    /// Decides about a write: an object with `operation`, `resource`, `object` and `oldObject`, as in an AdmissionRequest.
    public typealias Admission = @Sendable (_ review: JSONValue) async throws -> Denial?

    /// Allows only that from now on. Watches that are open go on, as a real server's.
    public func allow(only permissions: Set<Permission>) { authorization.withLock { $0.permissions = permissions } }

    /// Has writes by clients decided; nil admits all.
    public func admit(by admission: Admission?) { authorization.withLock { $0.admission = admission } }

    func denial(of request: Request) async throws -> Response? {
        guard let admission = authorization.withLock(\.admission), let review = review(of: request),
            let denial = try await admission(review)
        else { return nil }
        // As of a ValidatingAdmissionPolicy: the cause names no field.
        let causes: JSONValue = ["causes": [["message": .string(denial.message)]]]
        return Response(
            denial.code,
            Response.object(denial.code, denial.reason, denial.message).setting("details", causes))
    }

    /// nil if there is nothing to decide: the request is not a write, or will fail otherwise.
    private func review(of request: Request) -> JSONValue? {
        guard let body = request.body, let location = Location(request.path),
            Self.collections.contains(location.collection)
        else { return nil }
        let old = location.key.flatMap { store[$0] }
        var review: JSONValue = ["resource": .string(location.resource)]
        switch request.verb {
        case "POST": review = review.setting("operation", "CREATE").setting("object", body)
        case "PATCH":
            guard let old else { return nil }
            review = review.setting("operation", "UPDATE").setting("object", old.merged(with: body))
        default: return nil
        }
        return review.setting("oldObject", old ?? .null)
    }
}

extension APIServer.Location {
    /// Such as `pods`.
    var resource: String { collection.split(separator: "/").last.map(String.init) ?? "" }
}
