internal import AsyncHTTPClient
internal import StrictJSON

extension ResourceWatch {
    package struct List {
        package var items: [Object] = []
        var unreadable: [UnreadableObject] = []
        var resourceVersion = ""
    }

    /// All selected objects, page by page.
    package func list(
        notOlderThan version: String?, retrying: APIClient.Retrying = .byCaller
    ) async throws(APIError) -> List {
        var list = List()
        var continueToken: String?
        repeat {
            var query = selectors + [("limit", "\(pageSize)")]
            if let continueToken {
                query.append(("continue", continueToken))
            } else if let version {
                query.append(("resourceVersion", version))
                // Without it, a list in pages wants exactly that version, which a restored etcd may not have for days.
                if version != "0" { query.append(("resourceVersionMatch", "NotOlderThan")) }
            }
            let page = try await client.get(path, query, retrying: retrying)
            guard let object = page.object, let metadata = object["metadata"]?.object else {
                throw .invalidAnswer("a list without metadata")
            }
            // An empty list is null in Go.
            for item in object["items"]?.array ?? [] {
                do throws(JSONDecodingError) {
                    list.items.append(try JSONDecoding.decode(Object.self, from: item, unknownMembers: .ignore))
                } catch {
                    // It must not hide the others.
                    list.unreadable.append(UnreadableObject(item, error))
                }
            }
            list.resourceVersion = metadata["resourceVersion"]?.string ?? ""
            continueToken = metadata["continue"]?.string.flatMap { $0.isEmpty ? nil : $0 }
        } while continueToken != nil
        // A watch starts from it.
        if list.resourceVersion.isEmpty { throw .invalidAnswer("a list without a resource version") }
        return list
    }

    /// Starts a watch after a resource version.
    func open(from version: String) async throws(APIError) -> HTTPClientResponse {
        // Random, so that clients that connected at the same time do not reconnect at the same time.
        let seconds = Int64.random(in: WatchStream.maxSeconds / 2...WatchStream.maxSeconds)
        return try await client.stream(
            path,
            selectors + [
                ("watch", "1"), ("allowWatchBookmarks", "true"), ("resourceVersion", version),
                ("timeoutSeconds", "\(seconds)"),
            ])
    }
}
