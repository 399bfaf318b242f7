internal import AsyncHTTPClient
internal import NIOCore
internal import StrictJSON

/// The response to one watch request: one event a line, until the server or the network ends it.
struct WatchStream {
    struct Event {
        var type: String
        var object: JSONValue

        /// Whether it says why the watch ends.
        var isError: Bool { type == "ERROR" }
    }

    /// The longest `timeoutSeconds` of a watch.
    static let maxSeconds: Int64 = 600

    private var body: HTTPClientResponse.Body.AsyncIterator
    private var framer = LineFramer(limit: APIClient.responseLimit)
    private let start = ContinuousClock.now
    private var events = 0

    var isShort: Bool { start.duration(to: .now) < .seconds(1) }
    /// Whether the watch has worked: it has delivered events, or had time to.
    var deliveredEvents: Bool { events > 0 || !isShort }

    /// Whether nothing has come, not even a bookmark, in that time.
    func wasSilent(for time: Duration) -> Bool { events == 0 && start.duration(to: .now) >= time }

    init(_ response: HTTPClientResponse) {
        body = response.body.makeAsyncIterator()
    }

    /// nil at a clean end. An incomplete line is dropped: the next watch delivers its event again.
    mutating func next() async throws(APIError) -> Event? {
        while true {
            switch framer.next() {
            case .line(let line):
                let event = try Self.event(line)
                // Neither a proxy's page nor an error shows that the watch works.
                if !event.isError { events += 1 }
                return event
            case .overlong: throw .invalidAnswer("a watch event is longer than \(framer.limit) bytes")
            case .blank: continue
            case nil: break
            }
            do {
                guard let bytes = try await body.next(isolation: #isolation) else { return nil }
                framer.feed(bytes.readableBytesUInt8Span)
            } catch {
                throw Task.isCancelled ? .cancelled : APIError(error)
            }
        }
    }

    private static func event(_ line: ArraySlice<UInt8>) throws(APIError) -> Event {
        let value = try APIClient.json(line.span)
        guard let object = value.object, let type = object["type"]?.string, let content = object["object"] else {
            throw .invalidAnswer("a watch event has no type or no object")
        }
        return Event(type: type, object: content)
    }
}
