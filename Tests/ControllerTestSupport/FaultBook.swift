public import StrictJSON
import Synchronization

/// What is to go wrong, and when.
public final class FaultBook: Sendable {
    public enum Fault: Sendable {
        case status(Int, String, String)
        /// A refusal that says when to come again.
        case statusWithRetry(Int, seconds: Int)
        /// No answer at all.
        case silence
        case delay(Int)
        /// The connection is closed instead of an answer.
        case drop
        /// This, with code 200.
        case answer(JSONValue)
        /// HTML with code 200, as a captive proxy would answer.
        case garbage
        case inWatch(WatchFault)
    }

    /// After so many events of a watch.
    public struct WatchFault: Sendable {
        public enum Kind: Sendable {
            /// An event of type ERROR.
            case error(Int, String)
            /// The connection breaks in the middle of an event.
            case cut
            /// The watch ends as it does when its time is over.
            case end
            /// A line that is no event.
            case garbage
        }

        public var after: Int
        public var kind: Kind

        public init(after: Int = 0, _ kind: Kind) {
            self.after = after
            self.kind = kind
        }
    }

    struct CutOff: Error {}

    private struct Entry {
        var fault: Fault
        var times: Int
        var matches: @Sendable (APIServer.Request) -> Bool
    }

    private let entries = Mutex<[Entry]>([])

    func add(_ fault: Fault, times: Int, _ matches: @escaping @Sendable (APIServer.Request) -> Bool) {
        entries.withLock { $0.append(Entry(fault: fault, times: times, matches: matches)) }
    }

    func clear() { entries.withLock { $0 = [] } }

    var isEmpty: Bool { entries.withLock(\.isEmpty) }

    func next(for request: APIServer.Request) -> Fault? {
        entries.withLock { entries in
            guard let index = entries.firstIndex(where: { $0.matches(request) }) else { return nil }
            entries[index].times -= 1
            let fault = entries[index].fault
            if entries[index].times == 0 { entries.remove(at: index) }
            return fault
        }
    }
}

extension APIServer {
    /// The next requests that match go wrong.
    public func fail(
        _ fault: FaultBook.Fault, times: Int = 1,
        where matches: @escaping @Sendable (Request) -> Bool = { _ in true }
    ) {
        faults.add(fault, times: times, matches)
    }

    /// The next watches go wrong.
    public func failWatch(after events: Int = 0, _ kind: FaultBook.WatchFault.Kind, times: Int = 1) {
        faults.add(.inWatch(.init(after: events, kind)), times: times) { $0.isWatch }
    }

    public func endFaults() { faults.clear() }
    /// Whether all that was to go wrong has gone wrong.
    public var hasNoFaultsLeft: Bool { faults.isEmpty }

    /// Forgets what has happened, as etcd does after some minutes: whoever wants to go on from there gets 410 Gone.
    public func compact() { store.compact() }
}
