public import StrictJSON
import Synchronization

/// The faults of the API server, and the requests that they hit.
public final class FaultScript: Sendable {
    public enum Fault: Sendable {
        case status(Int, String, String)
        /// A refusal with Retry-After.
        case statusWithRetry(Int, seconds: Int)
        /// HTML with this header, as a proxy before the server responds.
        case proxy(Int, retryAfter: String)
        /// No response at all.
        case silence
        case delay(Int)
        /// The connection is closed without a response.
        case drop
        /// This value, with code 200.
        case answer(JSONValue)
        /// HTML with code 200, as a captive portal responds.
        case garbage
        case inWatch(WatchFault)
    }

    /// A fault after some events of a watch.
    public struct WatchFault: Sendable {
        public enum Kind: Sendable {
            /// An event of type ERROR.
            case error(Int, String)
            /// The connection breaks in the middle of an event.
            case cut
            /// The watch ends as at its timeout.
            case end
            /// A line that is not an event.
            case garbage
            /// Nothing comes for so many milliseconds, and then the end.
            case silence(Int)
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
    /// Makes the next matching requests fail.
    public func fail(
        _ fault: FaultScript.Fault, times: Int = 1,
        where matches: @escaping @Sendable (Request) -> Bool = { _ in true }
    ) {
        faults.add(fault, times: times, matches)
    }

    /// Makes the next watches fail.
    public func failWatch(after events: Int = 0, _ kind: FaultScript.WatchFault.Kind, times: Int = 1) {
        faults.add(.inWatch(.init(after: events, kind)), times: times) { $0.isWatch }
    }

    public func endFaults() { faults.clear() }
    /// Whether all faults have been used.
    public var hasNoFaultsLeft: Bool { faults.isEmpty }

    /// Compacts the history, as etcd does after some minutes: watches from older versions get 410 Gone.
    public func compact() { store.compact() }

    /// The present version.
    public var version: Int { store.version }

    /// Restores a backup of etcd that was made at a version, while the server is stopped.
    public func restore(_ version: Int) { store.restore(version) }
}
