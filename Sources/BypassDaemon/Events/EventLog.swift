internal import Bypass
internal import BypassAPI
internal import JSONRPC
internal import Linux

/// The events of bypasses, in one order for all subscribers, and the bypasses after them.
///
/// An event becomes a line when the first subscriber takes it, once for all of them: without subscribers nothing is encoded.
/// A subscriber is a place in this log. One that falls further behind than the log goes back has missed events, and is
/// disconnected.
final class EventLog: Sendable {
    private enum Entry {
        case event(BypassEvent.Name, BypassEvent)
        case line([UInt8])
        /// Forgotten, so that the log does not get too large.
        case none

        /// About how many bytes it takes.
        var size: Int {
            switch self {
            case .event(_, let event): event.size
            case .line(let line): line.count
            case .none: 0
            }
        }
    }

    private struct State {
        /// Of the last event.
        var sequence = 0
        /// Event `n` is at `(n - 1) % capacity`.
        var entries: [Entry] = []
        /// The number of last events that are kept.
        var kept = 0
        /// Their size.
        var bytes = 0
        /// By inode.
        var bypasses: [UInt64: BypassStatus] = [:]
        /// The size of their warnings.
        var warningBytes = 0
        var subscribers: [ObjectIdentifier: Connection.Handle] = [:]

        func reachesBack(to sequence: Int) -> Bool {
            (self.sequence - kept...self.sequence).contains(sequence)
        }

        /// What is known of a bypass from now on; nil if it has ended. Where warnings take too much over all bypasses, only
        /// their number is kept.
        mutating func keep(_ status: BypassStatus?, of inode: UInt64) {
            warningBytes -= bypasses[inode]?.warningSize ?? 0
            var status = status?.brief
            if let full = status, warningBytes + full.warningSize > EventLog.maxWarningBytes {
                status?.warnings = [.init(.truncated(full.warnings.count))]
            }
            bypasses[inode] = status
            warningBytes += status?.warningSize ?? 0
        }

        /// What is at an index after this, instead of what was.
        mutating func replace(at index: Int, with entry: Entry) {
            bytes += entry.size - entries[index].size
            entries[index] = entry
        }

        /// Forgets the oldest events until the rest takes less than that; the last one stays.
        mutating func shrink(below maxBytes: Int, _ capacity: Int) {
            while bytes > maxBytes && kept > 1 {
                replace(at: (sequence - kept) % capacity, with: .none)
                kept -= 1
            }
        }
    }

    enum Next {
        case line([UInt8])
        /// It is too long ago: what came after has been forgotten in part.
        case forgotten
    }

    /// The owner of the numbers.
    let stream: String
    private let capacity: Int
    private let state = Monitor(State())

    /// In bytes. With subscribers that are behind, an event is shared with those who send it.
    static let maxBytes = 1 << 20
    /// Rules of other programs in one event.
    private static let maxRemoved = 64
    /// Of the warnings of all that is bypassed.
    static let maxWarningBytes = 4 << 20

    /// - Parameter capacity: how many events are kept, unless they are large.
    init(capacity: Int) {
        self.capacity = capacity
        stream = String(UInt64.random(in: .min ... .max), radix: 36)
    }

    /// The bypasses after the event of that number.
    var snapshot: (sequence: Int, bypasses: [BypassStatus]) {
        state.withLock { ($0.sequence, Array($0.bypasses.values)) }
    }

    /// Whether all that came after an event is still there.
    func reachesBack(to sequence: Int) -> Bool { state.withLock { $0.reachesBack(to: sequence) } }

    /// The event after that of a number; nil if that was the last one.
    func next(after sequence: Int) -> Next? {
        state.withLock { state in
            guard state.reachesBack(to: sequence) else { return .forgotten }
            guard sequence < state.sequence else { return nil }
            let index = sequence % capacity
            switch state.entries[index] {
            case .line(let line): return .line(line)
            case .event(let name, let event):
                let line = RequestWriter.notification(method: name.rawValue, params: event)
                state.replace(at: index, with: .line(line))
                state.shrink(below: Self.maxBytes, capacity)
                return .line(line)
            case .none: return .forgotten
            }
        }
    }

    /// The number of kept events that have become lines.
    var encodedCount: Int {
        state.withLock { $0.entries.count { if case .line = $0 { true } else { false } } }
    }

    /// Adds an event. Subscribers hear of it with ``wakeSubscribers()``.
    ///
    /// - Parameters:
    ///   - cause: of the end of a bypass.
    ///   - damage: that was repaired, as codes of warnings.
    ///   - removed: rules of other programs; of very many, the first are kept.
    func publish(
        _ name: BypassEvent.Name, _ bypass: BypassStatus, cause: BypassEvent.Cause? = nil, damage: [String]? = nil,
        removed: [String] = []
    ) {
        let removed = removed.isEmpty ? nil : Array(removed.prefix(Self.maxRemoved))
        state.withLock { state in
            let event = BypassEvent(
                sequence: state.sequence + 1, bypass: bypass, cause: cause, damage: damage, removed: removed)
            let entry = Entry.event(name, event)
            if state.entries.count < capacity { state.entries.append(.none) }
            state.replace(at: state.sequence % capacity, with: entry)
            state.sequence += 1
            state.kept = min(state.kept + 1, capacity)
            state.shrink(below: Self.maxBytes, capacity)
            state.keep(name.leavesBypass ? bypass : nil, of: bypass.inode)
        }
    }

    /// Has subscribers take what was published.
    func wakeSubscribers() {
        let subscribers = state.withLock { $0.subscribers.isEmpty ? [] : Array($0.subscribers.values) }
        for subscriber in subscribers { subscriber.wake() }
    }

    /// What is bypassed though nothing has happened: an earlier daemon did it.
    func recover(_ bypass: BypassStatus) {
        state.withLock { $0.keep(bypass, of: bypass.inode) }
    }

    /// All that is bypassed after the last event, in no order.
    var bypasses: [BypassStatus] { state.withLock { Array($0.bypasses.values) } }

    /// The bypass of a namespace after the last event.
    subscript(inode: UInt64) -> BypassStatus? { state.withLock { $0.bypasses[inode] } }

    /// Has a connection's thread woken after each event.
    func add(_ subscriber: Connection.Handle) {
        state.withLock { $0.subscribers[ObjectIdentifier(subscriber)] = subscriber }
    }

    func remove(_ subscriber: Connection.Handle) {
        state.withLock { $0.subscribers[ObjectIdentifier(subscriber)] = nil }
    }
}

/// The subscriptions of one connection: a place in the log, and a trace. Belongs to the connection's thread.
struct Subscription {
    private var log: EventLog?
    private var trace: TraceFeed?
    private var sequence = 0
    /// Of the connection that is woken.
    let handle: Connection.Handle

    init(for handle: Connection.Handle) {
        self.handle = handle
    }

    var isActive: Bool { log != nil || trace?.isActive == true }

    /// The methods by which it was begun.
    var methods: [String] {
        (log == nil ? [] : [SubscribeMethod.name]) + (trace?.isActive == true ? [TraceMethod.name] : [])
    }

    /// Events after that one are taken from now on.
    mutating func begin(_ log: EventLog, after sequence: Int) {
        (self.log, self.sequence) = (log, sequence)
        log.add(handle)
    }

    /// Lines of a trace are taken from now on, instead of those of an earlier one.
    mutating func begin(_ trace: TraceFeed) {
        endTrace()
        self.trace = trace
    }

    /// Whether it has missed something.
    var isBehind: Bool { log?.reachesBack(to: sequence) == false || trace?.isBehind == true }

    /// The next line to send; nil if nothing has happened since.
    mutating func next() -> EventLog.Next? {
        if let line = trace?.next() { return .line(line) }
        guard let log, let next = log.next(after: sequence) else { return nil }
        if case .line = next { sequence += 1 }
        return next
    }

    mutating func end() {
        endEvents()
        endTrace()
    }

    mutating func endEvents() {
        log?.remove(handle)
        log = nil
    }

    /// Nothing of the trace is left when this returns.
    mutating func endTrace() {
        trace?.cancel()
        trace = nil
    }
}

extension BypassEvent {
    /// About how many bytes it takes.
    fileprivate var size: Int {
        let texts = [cause?.owner ?? "", cause?.reason ?? ""] + (damage ?? []) + (removed ?? [])
        return bypass.size + texts.reduce(0) { $0 + $1.utf8.count }
    }
}

extension BypassStatus {
    /// About how many bytes it takes.
    fileprivate var size: Int {
        let texts = [netns, owner ?? "", reason ?? ""] + warnings.map(\.message)
        let elements = [only, except].compactMap(\.self).reduce(0) { $0 + $1.ports.count * 4 + $1.networks.count * 32 }
        return 512 + rules.count * 160 + elements + texts.reduce(0) { $0 + $1.utf8.count }
    }

    fileprivate var warningSize: Int { warnings.reduce(0) { $0 + 64 + $1.message.utf8.count } }
}
