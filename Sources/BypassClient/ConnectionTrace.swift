public import BypassAPI
public import StrictJSON

/// The new connections of one network namespace, for a while.
///
/// The first element is ``Element/started(_:)``. Then come connections, each once, until ``Element/event(_:json:)`` with
/// ``TraceEvent/ended(_:)``, after which there are no more. The end of the iteration ends the trace, too.
public struct ConnectionTrace: AsyncSequence, Sendable {
    public enum Element: Sendable {
        /// The limits of the trace, and warnings about what it cannot show.
        case started(TraceMethod.Result)
        /// An event, and its parameters as the daemon sent them.
        case event(TraceEvent, json: JSONObject)
    }

    private let path: String
    private let parameters: TraceMethod.Parameters

    /// - Parameters:
    ///   - netns: As for ``BypassClient/bypass(netns:state:direction:ttl:owner:reason:ifGeneration:ifOwner:expectAddresses:only:except:connections:foreign:)``.
    ///   - seconds: When the trace ends; 60 if left out.
    ///   - count: Of connections that end the trace; 1000 if left out.
    ///   - path: The path of the daemon's socket.
    public init(netns: String, seconds: Int? = nil, count: Int? = nil, path: String = Product.socketPath) {
        self.path = path
        parameters = .init(netns: netns, seconds: seconds, count: count)
    }

    public func makeAsyncIterator() -> Iterator { Iterator(path: path, parameters: parameters) }

    public struct Iterator: AsyncIteratorProtocol {
        let path: String
        let parameters: TraceMethod.Parameters
        private var client: BypassClient?
        private var hasEnded = false

        init(path: String, parameters: TraceMethod.Parameters) {
            self.path = path
            self.parameters = parameters
        }

        public mutating func next() async throws(BypassClientError) -> Element? {
            if hasEnded { return nil }
            guard let client else {
                let client = try await BypassClient.connect(to: path)
                let result = try await client.call(TraceMethod.self, with: parameters)
                self.client = client
                return .started(result)
            }
            let notification = try await client.nextNotification()
            guard let json = notification.params.object else {
                throw .invalidAnswer("a notification without parameters")
            }
            let event = try TraceEvent(notification)
            if case .ended = event { (hasEnded, self.client) = (true, nil) }
            return .event(event, json: json)
        }
    }
}

extension TraceEvent {
    fileprivate init(_ notification: Notification) throws(BypassClientError) {
        do {
            let params = notification.params
            switch Name(rawValue: notification.method) {
            case .connection: self = .connection(try JSONDecoding.decode(from: params, unknownMembers: .ignore))
            case .leftOut:
                let leftOut = try JSONDecoding.decode(
                    LeftOutConnections.self, from: params, unknownMembers: .ignore)
                self = .leftOut(leftOut.connections)
            case .ended: self = .ended(try JSONDecoding.decode(from: params, unknownMembers: .ignore))
            case nil:
                throw BypassClientError.unknownNotification(notification.method)
            }
        } catch let error as BypassClientError {
            throw error
        } catch {
            throw .invalidAnswer("event \(notification.method): \(error)")
        }
    }
}
