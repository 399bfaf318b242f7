internal import StrictJSON

/// A kind of object that can be listed and watched.
public protocol WatchedObject: Decodable, Sendable {
    var metadata: ObjectMeta { get }
}

/// Every object that a selector selects, and every change of them, for as long as somebody asks for the next one.
///
/// The first element is what there is; then come changes, in order. When the connection breaks, that is told, and the next
/// element is waited for on a new one: from where the old one ended, or, if the server does not remember that, with what
/// there is then. So whoever takes a `snapshot` for the whole set, and applies the changes to it, has the server's set.
public struct ResourceWatch<Object: WatchedObject>: AsyncSequence, Sendable {
    public enum Element: Sendable {
        /// All that is selected; whatever was known before is over.
        case snapshot([Object])
        /// Added, changed, or newly selected.
        case changed(Object)
        /// Gone, or no longer selected: it is as it was last.
        case deleted(Object)
        /// Nothing is known of what happens from here to the next element.
        case disconnected(APIError)
        /// There is a connection again, and nothing was missed: what happened meanwhile follows as changes.
        case resumed
        /// An object that makes no sense was passed over.
        case unreadable(String)
    }

    let client: APIClient
    let path: String
    let selectors: [(String, String)]
    let pageSize: Int

    /// - Parameters:
    ///   - path: of the collection, such as `/api/v1/pods`.
    ///   - selectors: `labelSelector` and `fieldSelector`.
    ///   - pageSize: how many objects the server is asked for at a time.
    public init(
        _ client: APIClient, _ path: String, selectors: [(String, String)], pageSize: Int = 100
    ) {
        self.client = client
        self.path = path
        self.selectors = selectors
        self.pageSize = pageSize
    }

    public func makeAsyncIterator() -> Iterator { Iterator(watch: self) }

    public struct Iterator: AsyncIteratorProtocol {
        private let watch: ResourceWatch
        private var stream: WatchStream?
        /// The resource version that a watch goes on from; nil if a list is needed.
        private var place: String?
        /// What a list must not be older than: `0` takes whatever the server has in its cache, nil the newest.
        private var age: String? = "0"
        private var backoff = Backoff()
        /// Until when the server wants to be left alone.
        private var pause: Duration?
        private var wasDisconnected = false

        /// Seconds; whatever a server wants, or what stands between wants.
        private static var longestPause: Int { 300 }

        fileprivate init(watch: ResourceWatch) {
            self.watch = watch
        }

        /// nil once the task is cancelled.
        public mutating func next() async -> Element? {
            while !Task.isCancelled {
                do throws(APIError) {
                    if stream != nil {
                        if let element = try await event() { return element }
                    } else if let element = try await connect() {
                        return element
                    }
                } catch {
                    if error == .cancelled { return nil }
                    guard let told = noteFailure(error) else { continue }
                    return .disconnected(told)
                }
            }
            return nil
        }

        private mutating func connect() async throws(APIError) -> Element? {
            if let pause {
                self.pause = nil
                do {
                    try await Task.sleep(for: pause)
                } catch {
                    throw .cancelled
                }
            }
            guard let place else {
                let list = try await watch.list(notOlderThan: age)
                self.place = list.resourceVersion
                age = list.resourceVersion
                wasDisconnected = false
                return .snapshot(list.items)
            }
            stream = WatchStream(try await watch.open(at: place))
            guard wasDisconnected else { return nil }
            wasDisconnected = false
            return .resumed
        }

        /// The next event of the stream; nil for what nobody needs to know.
        private mutating func event() async throws(APIError) -> Element? {
            guard let event = try await stream?.next() else {
                // A clean end is how the server ends each watch some time; but if it does so at once, it is in trouble.
                if stream?.wasOfUse == true { backoff.reset() }
                if stream?.isShort == true { pause = backoff.next() }
                stream = nil
                return nil
            }
            if event.type == "ERROR" {
                // The server cannot go on from here: nor can anybody who asks for the same again.
                place = nil
                throw .refused(APIStatus(event.object))
            }
            backoff.reset()
            guard let metadata = event.object.object?["metadata"]?.object,
                let version = metadata["resourceVersion"]?.string
            else { return .unreadable("a watch event without a resource version") }
            place = version
            age = version
            if event.type == "BOOKMARK" { return nil }
            let object: Object
            do throws(JSONDecodingError) {
                object = try JSONDecoding.decode(from: event.object, unknownMembers: .ignore)
            } catch {
                return .unreadable("\(metadata["name"]?.string ?? "an object"): \(error)")
            }
            switch event.type {
            case "ADDED", "MODIFIED": return .changed(object)
            case "DELETED": return .deleted(object)
            default: return .unreadable("a watch event of type \(event.type)")
            }
        }

        /// - Returns: the error, if anybody needs to know it.
        private mutating func noteFailure(_ error: APIError) -> APIError? {
            if let stream, stream.wasOfUse { backoff.reset() }
            stream = nil
            let wanted = if case .refused(let status) = error { status.retryAfter } else { Int?.none }
            pause = Swift.max(backoff.next(), .seconds(Swift.min(wanted ?? 0, Self.longestPause)))
            switch error.code {
            case 410, 504:
                // 410 Gone: the server has forgotten that version. 504 with "Too large resource version": this server has
                // not seen it yet, and may never do. What it has now is all that can be asked for.
                place = nil
                age = nil
                if error.code == 410 { return nil }
            default: break
            }
            wasDisconnected = true
            return error
        }
    }
}
