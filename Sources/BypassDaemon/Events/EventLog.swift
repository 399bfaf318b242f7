internal import BypassAPI
internal import JSONRPC
internal import Synchronization

/// What has happened to bypasses, in one order for everybody, and what is bypassed after it.
///
/// Events are kept as the lines that subscribers get, once for all of them; a subscriber is no more than a place in this
/// log. One that falls further behind than the log goes back has missed something, and cannot go on.
final class EventLog: Sendable {
    private struct State {
        /// Of the last event.
        var sequence = 0
        /// The line of event `n` is at `(n - 1) % capacity`.
        var lines: [[UInt8]] = []
        /// By inode.
        var bypasses: [UInt64: BypassStatus] = [:]
        var subscribers: [ObjectIdentifier: @Sendable () -> Void] = [:]

        func reachesBack(to sequence: Int) -> Bool {
            (self.sequence - lines.count...self.sequence).contains(sequence)
        }
    }

    enum Next {
        case line([UInt8])
        /// It is too long ago: what came after has been forgotten in part.
        case forgotten
    }

    /// What the numbers belong to.
    let stream: String
    private let capacity: Int
    private let state = Mutex(State())

    /// - Parameter capacity: how many events are kept.
    init(capacity: Int) {
        self.capacity = capacity
        stream = String(UInt64.random(in: .min ... .max), radix: 36)
    }

    /// What is bypassed after the event of that number.
    var snapshot: (sequence: Int, bypasses: [BypassStatus]) {
        state.withLock { ($0.sequence, $0.bypasses.values.sorted { $0.inode < $1.inode }) }
    }

    /// Whether all that came after an event is still there.
    func reachesBack(to sequence: Int) -> Bool { state.withLock { $0.reachesBack(to: sequence) } }

    /// The event after that of a number; nil if that was the last one.
    func next(after sequence: Int) -> Next? {
        state.withLock { state in
            guard state.reachesBack(to: sequence) else { return .forgotten }
            return sequence < state.sequence ? .line(state.lines[sequence % capacity]) : nil
        }
    }

    /// Has everybody told, in the order in which this is called.
    func publish(_ name: BypassEvent.Name, _ bypass: BypassStatus) {
        let wakers = state.withLock { state in
            let event = BypassEvent(sequence: state.sequence + 1, bypass: bypass)
            let line = Self.line(name, event)
            if state.lines.count < capacity {
                state.lines.append(line)
            } else {
                state.lines[state.sequence % capacity] = line
            }
            state.sequence += 1
            state.bypasses[bypass.inode] = name.leavesBypass ? bypass : nil
            return Array(state.subscribers.values)
        }
        for wake in wakers { wake() }
    }

    /// What is bypassed without anything having happened: an earlier daemon's doing.
    func adopt(_ bypass: BypassStatus) {
        state.withLock { $0.bypasses[bypass.inode] = bypass }
    }

    /// The bypass of a namespace after the last event.
    subscript(inode: UInt64) -> BypassStatus? { state.withLock { $0.bypasses[inode] } }

    /// Has `wake` called, on whatever thread, after each event.
    func add(_ subscriber: ObjectIdentifier, wake: @escaping @Sendable () -> Void) {
        state.withLock { $0.subscribers[subscriber] = wake }
    }

    func remove(_ subscriber: ObjectIdentifier) {
        state.withLock { $0.subscribers[subscriber] = nil }
    }

    private static func line(_ name: BypassEvent.Name, _ event: BypassEvent) -> [UInt8] {
        RequestWriter.notification(method: name.rawValue, params: event)
    }
}
