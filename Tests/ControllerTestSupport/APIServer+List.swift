import StrictJSON

extension APIServer {
    private struct Page {
        /// Of the objects; nil: the present one.
        var version: Int?
        /// The position of the first object.
        var start = 0
    }

    private struct Refusal: Error {
        var response: Response

        init(_ code: Int, _ reason: String, _ message: String) {
            response = .status(code, reason, message)
        }
    }

    func list(_ request: Request, _ location: Location) -> Response {
        let page: Page
        do throws(Refusal) {
            page = try self.page(request)
        } catch {
            return error.response
        }
        guard let (all, version) = store.objects(of: location.collection, at: page.version) else {
            let hasToken = request.query["continue"] != nil
            return .status(
                410, "Expired",
                hasToken
                    ? "The provided continue parameter is too old"
                    : "The resourceVersion for the provided list is too old.")
        }
        let selected = all.filter(selects(request, location))
        let limit = request.limit
        let items = selected.dropFirst(page.start).prefix(limit > 0 ? limit : .max)
        let end = page.start + items.count
        var metadata: JSONValue = ["resourceVersion": .string("\(version)")]
        if end < selected.count { metadata = metadata.setting("continue", .string("\(end)@\(version)")) }
        return Response(
            200,
            [
                "kind": .string(location.kind + "List"),
                "apiVersion": .string(Discovery.version(of: location.collection)),
                "metadata": metadata, "items": items.isEmpty ? .null : .array(Array(items)),
            ])
    }

    private func page(_ request: Request) throws(Refusal) -> Page {
        let now = store.version
        let version = request.query["resourceVersion"].flatMap { $0.isEmpty ? nil : $0 }
        let token = request.query["continue"]
        let match = request.query["resourceVersionMatch"]
        if let match { try Self.check(match, version, token) }
        if let token {
            guard version == nil || version == "0" else {
                throw Refusal(400, "BadRequest", "specifying resource version is not allowed when using continue")
            }
            // As a real server's, the token has the position and the version.
            let position = token.split(separator: "@").compactMap { Int($0) }
            guard position.count == 2 else { throw Refusal(400, "BadRequest", "continue key is not valid") }
            return Page(version: position[1], start: position[0])
        }
        guard let version, version != "0" else { return Page() }
        guard let wanted = Int(version) else { throw Refusal(400, "BadRequest", "Invalid value: \"\(version)\"") }
        // Pages are read from etcd, and without a match they have exactly that version.
        if match == "Exact" || match == nil && request.limit > 0 {
            if wanted <= now { return Page(version: wanted) }
            throw Refusal(500, "", "etcdserver: mvcc: required revision is a future revision")
        }
        if wanted <= now { return Page() }
        throw Refusal(504, "Timeout", "Too large resource version: \(wanted), current: \(now)")
    }

    /// The server's ValidateListOptions.
    private static func check(_ match: String, _ version: String?, _ token: String?) throws(Refusal) {
        let fault: String? =
            if version == nil {
                "Forbidden: resourceVersionMatch is forbidden unless resourceVersion is provided"
            } else if token != nil {
                "Forbidden: resourceVersionMatch is forbidden when continue is provided"
            } else if !["Exact", "NotOlderThan"].contains(match) {
                "Unsupported value: \"\(match)\": supported values: \"Exact\", \"NotOlderThan\", \"\""
            } else if match == "Exact", version == "0" {
                "Forbidden: resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\""
            } else {
                nil
            }
        guard let fault else { return }
        throw Refusal(422, "Invalid", "ListOptions.meta.k8s.io \"\" is invalid: resourceVersionMatch: \(fault)")
    }
}

extension APIServer.Request {
    /// 0: without.
    fileprivate var limit: Int { query["limit"].flatMap { Int($0) } ?? 0 }
}
