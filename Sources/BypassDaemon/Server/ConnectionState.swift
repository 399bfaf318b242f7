internal import Bypass
internal import BypassAPI
internal import Linux
internal import StrictJSON

/// The reason for the end of a connection.
enum CloseReason: Hashable, Sendable {
    /// The client has ended its output and has got every answer.
    case inputEnded
    /// The client exceeded a limit; a last line names it.
    case limit(Limits.Name)
    /// Another account needs the place, or there was no place. A client that is still sending gets time to read the
    /// reason, if `lingers`.
    case noRoom(Limits.Name, lingers: Bool)
    case shutdown
    /// The client has sent descriptors, which a kernel before Linux 6.16 lets it.
    case descriptors
    /// The client gets events, and by a new policy it may not.
    case denied(BypassError)
    /// The client is gone, or did not read in time: nothing more can be sent.
    case unreachable

    /// The action once the last byte is written.
    enum Farewell {
        /// Nothing is left to be read or written.
        case close
        /// The client may be sending: closing now would reset the connection before it has read the last line.
        case linger
    }

    var farewell: Farewell {
        switch self {
        case .inputEnded, .unreachable, .descriptors, .noRoom(_, lingers: false): .close
        // A subscriber that is behind has much to read before the last line, and all of it was waited for.
        case .limit(.events): .close
        case .limit, .noRoom, .shutdown, .denied: .linger
        }
    }
}

/// The protocol of one connection, without its socket: what is to be done next, given what has been received and when.
///
/// The connection's thread asks for the next action, carries it out and reports. Lines are executed one at a time, in
/// their order; while one is, nothing more is taken in, so what a client can make the daemon hold is a line and a read.
enum ConnectionState {
    enum Action: Equatable {
        /// Execute the line and send its answers, then call ``lineExecuted(at:)``.
        case execute(ArraySlice<UInt8>)
        /// A blank line: costs what a request costs, and gets no answer.
        case chargeBlankLine
        /// Wait for input until the deadline, then call ``received(_:)``, ``inputEnded()`` or ``timedOut(at:)``.
        case awaitInput(until: Instant?)
        case close(CloseReason)
    }

    /// Lines are taken.
    case open(Input)
    /// A line is being executed. Afterwards the connection goes on, or ends.
    case executing(Input, then: CloseReason?)
    case closing(CloseReason)

    /// The received bytes that are not executed yet, and the times that bound them.
    struct Input {
        var framer: LineFramer
        let lineTime: Interval
        let idleTime: Interval
        var idleSince: Instant
        /// When the line under way was first waited for.
        var lineBegan: Instant?
        var hasEnded = false

        /// A client has to end a line that it has begun, and to ask for something now and then. A subscriber is there
        /// for events and may ask nothing.
        mutating func deadline(at now: Instant, isSubscribed: Bool) -> Instant? {
            guard framer.isInsideLine else {
                lineBegan = nil
                return isSubscribed ? nil : idleSince + idleTime
            }
            let began = lineBegan ?? now
            lineBegan = began
            return began + lineTime
        }
    }

    init(limits: Limits, at now: Instant) {
        self = .open(
            Input(
                framer: LineFramer(limit: limits.line), lineTime: .seconds(limits.lineSeconds),
                idleTime: .seconds(limits.idleSeconds), idleSince: now))
    }

    /// - Parameter isSubscribed: whether the connection waits for events besides.
    mutating func next(at now: Instant, isSubscribed: Bool) -> Action {
        switch self {
        case .executing: preconditionFailure("a line is being executed")
        case .closing(let reason): return .close(reason)
        case .open(var input):
            // The buffer must have one owner while it is cut.
            self = .closing(.shutdown)
            let frame = input.framer.next() ?? (input.hasEnded ? input.framer.finish() : nil)
            // The time is one for each line.
            if frame != nil { input.lineBegan = nil }
            switch frame {
            case .line(let line):
                self = .executing(input, then: nil)
                return .execute(line)
            case .blank:
                self = .open(input)
                return .chargeBlankLine
            case .overlong: return close(.limit(.line))
            case nil where input.hasEnded: return close(.inputEnded)
            case nil:
                let deadline = input.deadline(at: now, isSubscribed: isSubscribed)
                // Also for a client that sends without a pause.
                if let deadline, now >= deadline {
                    return close(.limit(input.framer.isInsideLine ? .lineSeconds : .idleSeconds))
                }
                self = .open(input)
                return .awaitInput(until: deadline)
            }
        }
    }

    /// Bytes have arrived. Only after ``Action/awaitInput(until:)``.
    mutating func received(_ bytes: Span<UInt8>) {
        guard case .open(var input) = self else { return }
        self = .closing(.shutdown)
        input.framer.feed(bytes)
        self = .open(input)
    }

    /// The client has ended its output: what it has sent is still answered, the last line too if it lacks its LF.
    mutating func inputEnded() {
        guard case .open(var input) = self else { return }
        self = .closing(.shutdown)
        input.hasEnded = true
        self = .open(input)
    }

    /// The deadline of ``Action/awaitInput(until:)`` has passed, or a wait ended early: the time decides.
    mutating func timedOut(at now: Instant, isSubscribed: Bool) {
        guard case .open(var input) = self, let deadline = input.deadline(at: now, isSubscribed: isSubscribed),
            now >= deadline
        else { return }
        self = .closing(.limit(input.framer.isInsideLine ? .lineSeconds : .idleSeconds))
    }

    /// All answers to the line have been sent.
    mutating func lineExecuted(at now: Instant) {
        guard case .executing(var input, let reason) = self else { return }
        input.idleSince = now
        self = reason.map { .closing($0) } ?? .open(input)
    }

    /// The connection has to end. What was begun is executed and answered first; what waits behind it is not begun.
    mutating func close(for reason: CloseReason) {
        switch self {
        case .open: self = .closing(reason)
        case .executing(let input, _): self = .executing(input, then: reason)
        case .closing: break
        }
    }

    private mutating func close(_ reason: CloseReason) -> Action {
        self = .closing(reason)
        return .close(reason)
    }
}
