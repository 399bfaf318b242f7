internal import AsyncHTTPClient
internal import StrictJSON

extension ResourceWatch {
    struct List {
        var items: [Object] = []
        var resourceVersion = ""
    }

    /// Everything that is selected, page by page.
    func list(notOlderThan version: String?) async throws(APIError) -> List {
        var list = List()
        var rest: String?
        repeat {
            var query = selectors + [("limit", "\(pageSize)")]
            if let rest {
                query.append(("continue", rest))
            } else if let version {
                query.append(("resourceVersion", version))
            }
            let page = try await client.get(path, query)
            guard let object = page.object, let metadata = object["metadata"]?.object else {
                throw .invalidAnswer("a list without metadata")
            }
            // An empty list is null in Go.
            for item in object["items"]?.array ?? [] {
                // One that makes no sense is none that this program can do anything about; it must not hide the others.
                guard let item = try? JSONDecoding.decode(Object.self, from: item, unknownMembers: .ignore) else {
                    continue
                }
                list.items.append(item)
            }
            list.resourceVersion = metadata["resourceVersion"]?.string ?? ""
            rest = metadata["continue"]?.string.flatMap { $0.isEmpty ? nil : $0 }
        } while rest != nil
        // Without it there is nowhere to watch from.
        if list.resourceVersion.isEmpty { throw .invalidAnswer("a list without a resource version") }
        return list
    }

    /// Begins to watch from behind a resource version.
    func open(at version: String) async throws(APIError) -> HTTPClientResponse {
        // Not all at once: many clients that came at the same time do not come back at the same time.
        let seconds = Int64.random(in: WatchStream.longest / 2...WatchStream.longest)
        return try await client.stream(
            path,
            selectors + [
                ("watch", "1"), ("allowWatchBookmarks", "true"), ("resourceVersion", version),
                ("timeoutSeconds", "\(seconds)"),
            ])
    }
}
