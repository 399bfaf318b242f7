import NIOCore
import NIOHTTP1
import StrictJSON

/// A complete response.
struct Response {
    var code: Int
    var text: String
    /// Seconds, or a date.
    var retryAfter: String?

    init(_ code: Int, _ text: String) {
        (self.code, self.text) = (code, text)
    }

    init(_ code: Int, _ value: JSONValue) {
        self.init(code, (try? JSONEncoding.text(of: value)) ?? "")
    }

    /// - Parameter cause: the field of the object that is why, as the server names it.
    static func status(_ code: Int, _ reason: String, _ message: String, cause: String? = nil) -> Response {
        let status = object(code, reason, message)
        guard let cause else { return Response(code, status) }
        let causes: JSONValue = [["reason": "FieldValueInvalid", "message": .string(message), "field": .string(cause)]]
        return Response(code, status.setting("details", ["kind": "Pod", "causes": causes]))
    }

    static func object(_ code: Int, _ reason: String, _ message: String) -> JSONValue {
        [
            "kind": "Status", "apiVersion": "v1", "metadata": [:], "status": "Failure",
            "message": .string(message), "reason": .string(reason), "code": .number(JSONNumber(code)),
        ]
    }

    func write(to outbound: APIServer.Outbound) async throws {
        var head = HTTPResponseHead(
            version: .http1_1, status: .init(statusCode: code),
            headers: ["Content-Type": "application/json", "Content-Length": "\(text.utf8.count)"])
        if let retryAfter { head.headers.add(name: "Retry-After", value: retryAfter) }
        try await outbound.write(.head(head))
        try await outbound.write(.body(.byteBuffer(ByteBuffer(string: text))))
        try await outbound.write(.end(nil))
    }
}

extension APIServer {
    /// The resource that a path names.
    struct Location {
        /// Such as `/api/v1/pods`.
        var collection: String
        var namespace: String?
        var name: String?

        init?(_ path: String) {
            var parts = path.split(separator: "/").map(String.init)
            guard let first = parts.first, parts.count > (first == "api" ? 2 : 3), ["api", "apis"].contains(first)
            else {
                return nil
            }
            let group = parts.prefix(first == "api" ? 2 : 3)
            parts.removeFirst(group.count)
            if parts.count > 2, parts[0] == "namespaces" {
                namespace = parts[1]
                parts.removeFirst(2)
            }
            collection = "/" + (group + [parts[0]]).joined(separator: "/")
            name = parts.count > 1 ? parts[1] : nil
        }

        /// nil of a collection.
        var key: ObjectStore.Key? {
            name.map { ObjectStore.Key(collection: collection, namespace: namespace ?? "", name: $0) }
        }

        var kind: String {
            if collection.hasSuffix("/pods") { return "Pod" }
            if collection.hasSuffix("/events") { return "Event" }
            return collection.hasSuffix("/peerauthentications") ? "PeerAuthentication" : "Deployment"
        }
    }

    static let collections: Set<String> = [
        "/api/v1/pods", "/api/v1/events", "/apis/security.istio.io/v1/peerauthentications", "/apis/apps/v1/deployments",
    ]

    func selects(_ request: Request, _ location: Location) -> (JSONValue) -> Bool {
        let labels = Selector(request.query["labelSelector"])
        let fields = Selector(request.query["fieldSelector"])
        return { object in
            let metadata = object["metadata"]
            return (location.namespace == nil || metadata?["namespace"]?.string == location.namespace)
                && labels.matches { metadata?["labels"]?[$0]?.string } && fields.matches { object.text(at: $0) }
        }
    }

    func respond(to request: Request) -> Response {
        if let discovered = Discovery.answer(request.path) { return Response(200, discovered) }
        if request.path == "/apis/authentication.k8s.io/v1/selfsubjectreviews" {
            return Response(
                201, ["kind": "SelfSubjectReview", "status": ["userInfo": ["username": "alice@example.org"]]])
        }
        guard let location = Location(request.path), Self.collections.contains(location.collection) else {
            return .status(404, "NotFound", "the server could not find the requested resource")
        }
        guard let name = location.name, let key = location.key else {
            return request.verb == "POST" ? create(request, location) : list(request, location)
        }
        guard let object = store[key] else {
            return .status(404, "NotFound", "\(location.collection) \"\(name)\" not found")
        }
        switch request.verb {
        case "PATCH": return patch(request, object, key)
        case "DELETE":
            store.change(key) { _ in nil }
            return Response(200, object)
        default: return Response(200, object)
        }
    }

    private func create(_ request: Request, _ location: Location) -> Response {
        guard let body = request.body, let name = body.text(at: "metadata.name"), let namespace = location.namespace
        else { return .status(422, "Invalid", "metadata.name: Required value") }
        let key = ObjectStore.Key(collection: location.collection, namespace: namespace, name: name)
        if store[key] != nil { return .status(409, "AlreadyExists", "\(name) already exists") }
        let made = store.change(key) { _ in body }
        return Response(201, made ?? .null)
    }

    private func patch(_ request: Request, _ object: JSONValue, _ key: ObjectStore.Key) -> Response {
        // kubectl sends strategic merge patches for built-in types: for labels and annotations they are the same.
        guard let body = request.body, request.type?.contains("merge-patch+json") == true else {
            return .status(415, "UnsupportedMediaType", "the body of the request was in an unknown format")
        }
        if let uid = body.text(at: "metadata.uid"), uid != object.text(at: "metadata.uid") {
            return .status(
                422, "Invalid", "metadata.uid: Invalid value: \"\(uid)\": field is immutable", cause: "metadata.uid")
        }
        if let version = body.text(at: "metadata.resourceVersion"),
            version != object.text(at: "metadata.resourceVersion")
        {
            return .status(409, "Conflict", "the object has been modified")
        }
        let changed = store.change(key) { $0?.merged(with: body) }
        return Response(200, changed ?? object)
    }
}
