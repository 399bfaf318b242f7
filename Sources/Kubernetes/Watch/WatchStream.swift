internal import AsyncHTTPClient
internal import NIOCore
internal import StrictJSON

/// One answer of the API server to a watch: events, one a line, until the server or the network ends it.
struct WatchStream {
    struct Event {
        var type: String
        var object: JSONValue
    }

    /// Seconds after which the server ends a watch that nothing else has ended.
    static let longest: Int64 = 600

    private var body: HTTPClientResponse.Body.AsyncIterator
    private var framer = LineFramer(limit: APIClient.answerLimit)
    private let began = ContinuousClock.now
    private(set) var events = 0

    var isShort: Bool { began.duration(to: .now) < .seconds(1) }
    /// Whether it has shown that it works: an end soon after its beginning, and nothing in between, has not.
    var wasOfUse: Bool { events > 0 || !isShort }

    init(_ response: HTTPClientResponse) {
        body = response.body.makeAsyncIterator()
    }

    /// nil at a clean end. What was cut off in the middle of a line is dropped: it will come again.
    mutating func next() async throws(APIError) -> Event? {
        while true {
            switch framer.next() {
            case .line(let line):
                events += 1
                return try Self.event(line)
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
