internal import Retry
internal import StrictJSON

/// Lists the selected objects of a collection, and then watches them: client-go's Reflector as an asynchronous sequence.
///
/// The first element is a snapshot; then come changes, in order. When the connection breaks, the sequence reports that, and
/// goes on with a new watch from the last resource version, or with a new snapshot if the server no longer has that version.
/// A consumer that replaces its set by each `snapshot`, and applies the changes, has the server's set.
package struct ResourceWatch<Object: KubernetesObject>: AsyncSequence, Sendable {
    package enum Element: Sendable {
        /// All selected objects; it replaces everything that was known before, but for the objects that cannot be decoded.
        case snapshot([Object], unreadable: [UnreadableObject] = [])
        /// Added, changed, or newly selected.
        case changed(Object)
        /// Deleted, or no longer selected; the object's last state.
        case deleted(Object)
        /// The connection was lost: changes are not seen until the next element.
        case disconnected(APIError)
        /// The watch goes on after a disconnection; changes that happened meanwhile follow.
        case resumed
        /// An object that cannot be decoded was skipped.
        case unreadable(String)
    }

    let client: APIClient
    let path: String
    let selectors: [(String, String)]
    let pageSize: Int
    /// For how long a watch may deliver nothing, while the server delivers a bookmark every minute.
    let bookmarkTimeout: Duration

    /// - Parameters:
    ///   - path: the collection, such as `/api/v1/pods`.
    ///   - selectors: `labelSelector` and `fieldSelector`.
    ///   - pageSize: the limit of each list request.
    package init(
        _ client: APIClient, _ path: String, selectors: [(String, String)], pageSize: Int = 100,
        bookmarkTimeout: Duration = .seconds(150)
    ) {
        self.client = client
        self.path = path
        self.selectors = selectors
        self.pageSize = pageSize
        self.bookmarkTimeout = bookmarkTimeout
    }

    package func makeAsyncIterator() -> Iterator { Iterator(watch: self) }

    package struct Iterator: AsyncIteratorProtocol {
        private let watch: ResourceWatch
        private var stream: WatchStream?
        /// The last resource version that was seen: a watch starts from it; nil if a list is needed.
        private var resourceVersion: String?
        /// A list must not be older than this: `0` accepts whatever the server has cached, nil asks for the newest.
        private var minimumResourceVersion: String? = "0"
        private var backoff = ExponentialBackoff()
        /// Before the next request.
        private var delay: Duration?
        private var wasDisconnected = false

        fileprivate init(watch: ResourceWatch) {
            self.watch = watch
        }

        /// nil once the task is cancelled.
        package mutating func next() async -> Element? {
            while !Task.isCancelled {
                do throws(APIError) {
                    if stream != nil {
                        if let element = try await event() { return element }
                    } else if let element = try await connect() {
                        return element
                    }
                } catch {
                    if error == .cancelled, Task.isCancelled { return nil }
                    guard let reported = handleFailure(error) else { continue }
                    return .disconnected(reported)
                }
            }
            return nil
        }

        private mutating func connect() async throws(APIError) -> Element? {
            if let delay {
                self.delay = nil
                do {
                    try await Task.sleep(for: delay)
                } catch {
                    throw .cancelled
                }
            }
            guard let resourceVersion else {
                let list = try await watch.list(notOlderThan: minimumResourceVersion)
                self.resourceVersion = list.resourceVersion
                minimumResourceVersion = list.resourceVersion
                wasDisconnected = false
                return .snapshot(list.items, unreadable: list.unreadable)
            }
            stream = WatchStream(try await watch.open(from: resourceVersion))
            guard wasDisconnected else { return nil }
            wasDisconnected = false
            return .resumed
        }

        /// The next event of the stream; nil if the consumer need not see it.
        private mutating func event() async throws(APIError) -> Element? {
            guard let event = try await stream?.next() else {
                // The server ends every watch at some time. One that ends it at once has a problem.
                if stream?.deliveredEvents == true { backoff.reset() }
                if stream?.isShort == true { delay = backoff.next() }
                // After a backup of etcd was restored, the server has lower versions than before, and is silent about all
                // changes until it has reached the one that the watch has started from.
                if let stream, stream.wasSilent(for: watch.bookmarkTimeout) { resourceVersion = nil }
                stream = nil
                return nil
            }
            if event.isError {
                // The server cannot go on from this version, and a retry from it would fail, too.
                resourceVersion = nil
                throw .refused(APIStatus(event.object))
            }
            backoff.reset()
            guard let metadata = event.object.object?["metadata"]?.object,
                let version = metadata["resourceVersion"]?.string
            else { return .unreadable("a watch event without a resource version") }
            resourceVersion = version
            minimumResourceVersion = version
            if event.type == "BOOKMARK" { return nil }
            let object: Object
            do throws(JSONDecodingError) {
                object = try JSONDecoding.decode(from: event.object, unknownMembers: .ignore)
            } catch {
                return .unreadable(UnreadableObject(event.object, error).reason)
            }
            switch event.type {
            case "ADDED", "MODIFIED": return .changed(object)
            case "DELETED": return .deleted(object)
            default: return .unreadable("a watch event of type \(event.type)")
            }
        }

        /// - Returns: the error, if the consumer should see it.
        private mutating func handleFailure(_ error: APIError) -> APIError? {
            let isOfList = stream == nil && resourceVersion == nil
            if let stream, stream.deliveredEvents { backoff.reset() }
            stream = nil
            delay = Swift.max(backoff.next(), error.retryAfter ?? .zero)
            switch error.code {
            case 410, 504:
                // 410 Gone: the version was compacted. 504 with "Too large resource version": this server has not seen the
                // version yet, and may never see it. The newest list is the only way on.
                resourceVersion = nil
                minimumResourceVersion = nil
                if error.code == 410 { return nil }
            // These say nothing about the version, and the newest list costs the server more than one from its cache.
            case nil, 401, 403, 429: break
            default: if isOfList, minimumResourceVersion != "0" { minimumResourceVersion = nil }
            }
            wasDisconnected = true
            return error
        }
    }
}

/// An object that is there, but cannot be decoded: what it was before is all that is known of it.
package struct UnreadableObject: Hashable, Sendable {
    /// Empty if not even that can be read.
    package var uid: String
    /// Which object, and why.
    package var reason: String

    init(_ object: JSONValue, _ error: JSONDecodingError) {
        let metadata = object.object?["metadata"]?.object
        uid = metadata?["uid"]?.string ?? ""
        reason = "\(metadata?["name"]?.string ?? "an object"): \(error)"
    }
}
