internal import BypassAPI
internal import JSONRPC
internal import Linux
internal import Synchronization

/// What all connections share.
struct ServerContext: Sendable {
    let router: Router
    let limits: Limits
    let connections: ConnectionRegistry
    let log: RateLimitedLog
}

/// One client, served by one thread from its first byte to its last: read a line, execute it, write the answer.
struct Connection: ~Copyable {
    /// What other threads may do to a connection: ask it to end, and wake it.
    final class Handle: Sendable {
        let slot: ConnectionSlot
        private let event: EventDescriptor
        private let order = Mutex<CloseReason?>(nil)
        private let isWoken = Atomic(false)

        init(_ slot: ConnectionSlot) throws(SystemCallError) {
            self.slot = slot
            event = try EventDescriptor()
        }

        /// Has the connection's thread look around, wherever it waits. However often it is woken before it does, that is
        /// one system call.
        func wake() {
            if !isWoken.exchange(true, ordering: .acquiringAndReleasing) { event.signal() }
        }

        /// Asks the connection to end after what was begun. The first reason counts.
        func close(for reason: CloseReason) {
            order.withLock { $0 = $0 ?? reason }
            wake()
        }

        fileprivate var closeOrder: CloseReason? { order.withLock(\.self) }

        fileprivate func wait(
            on socket: borrowing StreamSocket, for direction: StreamSocket.Direction, until deadline: Instant?
        ) -> StreamSocket.Readiness {
            let readiness = socket.wait(for: direction, or: event, until: deadline)
            // Exchanged, so that what was changed before each ``wake()`` up to now is seen from here on.
            if readiness == .signalled { _ = isWoken.exchange(false, ordering: .acquiringAndReleasing) }
            return readiness
        }
    }

    private let socket: StreamSocket
    private let handle: Handle
    private let peer: Peer
    private let context: ServerContext
    private var state: ConnectionState
    private var subscription: Subscription
    private var writer = ResponseWriter()
    private var afterAnswer = AfterAnswer()

    /// Of the answer to a batch, more than that is sent ahead of the rest.
    private static let pieceSize = 16 * 1024
    /// How much is read at a time.
    private static let readSize = 16 * 1024
    /// A longer line is parsed in a place of the gate, as kernel work is: it takes a processor for a while.
    private static let longLine = 4 * 1024
    /// How long the client may take to read its last answer and close.
    private static let lingerTime = Interval.seconds(2)

    init(_ socket: consuming StreamSocket, _ handle: Handle, _ peer: Peer, _ context: ServerContext) {
        self.socket = socket
        self.handle = handle
        self.peer = peer
        self.context = context
        state = ConnectionState(limits: context.limits, at: .now)
        subscription = Subscription(for: handle)
    }

    /// Serves the client until one of the two ends it.
    ///
    /// - Parameter refusal: why the client is turned away at once, if it is.
    consuming func serve(refusal: CloseReason? = nil) {
        if let refusal { state.close(for: refusal) }
        var buffer = [UInt8](repeating: 0, count: Self.readSize)
        // A client asks something as soon as it is connected: the first time there is mostly something to read.
        var expectsInput = true
        while true {
            if let reason = handle.closeOrder { state.close(for: reason) }
            if subscription.isActive { sendEvents() }
            switch state.next(at: .now, isSubscribed: subscription.isActive) {
            case .execute(let line): execute(line)
            case .chargeBlankLine: chargeBlankLine()
            case .awaitInput(let deadline):
                if expectsInput || handle.wait(on: socket, for: .input, until: deadline) == .ready {
                    receive(&buffer)
                } else {
                    state.timedOut(at: .now, isSubscribed: subscription.isActive)
                }
                expectsInput = false
            case .close(let reason): return close(for: reason, &buffer)
            }
        }
    }

    private mutating func receive(_ buffer: inout [UInt8]) {
        switch socket.receive(into: &buffer) {
        case .bytes(let count): state.received(buffer[..<count])
        case .endOfStream: state.inputEnded()
        case .nothing: break
        }
    }

    // MARK: lines

    private mutating func execute(_ line: ArraySlice<UInt8>) {
        handle.slot.markBusy()
        let incoming = parse(line)
        writer.reset(answering: incoming)
        var isReachable = true
        for entry in incoming.entries where isReachable {
            execute(entry)
            if writer.writtenBytes > Self.pieceSize { isReachable = send(writer.takeWritten()) }
        }
        if isReachable, let answer = writer.finish() { send(answer) }
        afterAnswer.run()
        let now = Instant.now
        handle.slot.markIdle(since: now)
        state.lineExecuted(at: now)
    }

    private func parse(_ line: ArraySlice<UInt8>) -> Incoming {
        let limits = Incoming.Limits(depth: context.limits.depth, batch: context.limits.batch)
        if line.count <= Self.longLine { return Incoming.read(line, limits: limits) }
        return context.router.inTurn(of: peer) { Incoming.read(line, limits: limits) }
    }

    private mutating func execute(_ entry: Incoming.Entry) {
        if context.connections.takeToken(handle.slot) != nil {
            context.log.record(.requestRefused, .requestsPerSecond, uid: handle.slot.account)
            if let id = entry.id { writer.write(error: ErrorObject(.requestsPerSecond, context.limits), id: id) }
            return
        }
        switch entry {
        case .rejection(let rejection):
            writer.write(error: rejection.error ?? limitError(rejection), id: rejection.id)
        case .request(let request):
            var call = Router.Call(peer: peer, subscription: subscription, afterAnswer: afterAnswer)
            context.router.execute(request, &call, into: &writer)
            (subscription, afterAnswer) = (call.subscription, call.afterAnswer)
            if subscription.isActive { handle.slot.markSubscribed() }
        }
    }

    private func limitError(_ rejection: Rejection) -> ErrorObject {
        guard case .limitExceeded(let limit, _) = rejection.reason else { return .invalidRequest }
        return ErrorObject(limit == .depth ? .depth : .batch, context.limits)
    }

    /// Past the rate there is no request that could be refused, so the connection waits until it has its token.
    private mutating func chargeBlankLine() {
        while handle.closeOrder == nil, let next = context.connections.takeToken(handle.slot) {
            context.log.record(.requestRefused, .requestsPerSecond, uid: handle.slot.account)
            while handle.closeOrder == nil && .now < next {
                // Only a client that is gone ends the wait early.
                if handle.wait(on: socket, for: .hangUp, until: next) == .ready {
                    return abandon()
                }
            }
        }
    }

    // MARK: output

    private mutating func sendEvents() {
        while let next = subscription.next() {
            switch next {
            case .line(let line):
                if !send(line, isEvent: true) { return }
            case .forgotten:
                context.log.record(.cutOff, .events, uid: handle.slot.account)
                subscription.end()
                return state.close(for: .limit(.events))
            }
        }
    }

    /// Sends bytes, as fast as the client reads. A client that takes too long to read is cut off.
    ///
    /// - Parameter isEvent: events may wait for as long as the log keeps them.
    /// - Returns: false if the client is gone or cut off; the connection then ends.
    @discardableResult
    private mutating func send(_ bytes: [UInt8], isEvent: Bool = false) -> Bool {
        var rest = bytes[...]
        var deadline: Instant?
        while true {
            guard let count = socket.send(rest) else {
                abandon()
                return false
            }
            rest = rest.dropFirst(count)
            if rest.isEmpty { return true }
            // One of very many that are evicted does not keep its thread until it reads.
            if handle.closeOrder?.farewell == .close {
                abandon()
                return false
            }
            // Others do not wait for what the client does not read.
            afterAnswer.run()
            // Time begins when the client stops reading, and begins again whenever it has read something.
            if count > 0 { deadline = nil }
            if !isEvent || subscription.isBehind || handle.closeOrder != nil {
                deadline = deadline ?? .now + .seconds(context.limits.unreadSeconds)
            }
            if let deadline, .now >= deadline {
                context.log.record(.cutOff, .unreadSeconds, uid: handle.slot.account)
                abandon()
                return false
            }
            _ = handle.wait(on: socket, for: .output, until: deadline)
        }
    }

    // MARK: the end

    /// Nothing more can be sent, no event either.
    private mutating func abandon() {
        subscription.end()
        state.close(for: .unreachable)
    }

    private consuming func close(for reason: CloseReason, _ buffer: inout [UInt8]) {
        subscription.end()
        if let limit = reason.limit, !send(ErrorObject.line(telling: limit, context.limits)) { return }
        switch reason.farewell {
        case .close:
            // The socket is closed as the connection goes away.
            return
        case .linger: socket.shutDownWriting()
        }
        let end = Instant.now + Self.lingerTime
        while .now < end {
            switch handle.wait(on: socket, for: .input, until: end) {
            case .ready: if socket.receive(into: &buffer) == .endOfStream { return }
            case .signalled, .timedOut: continue
            }
        }
    }
}

extension Incoming {
    fileprivate var entries: [Entry] {
        switch self {
        case .single(let entry): [entry]
        case .batch(let entries): entries
        }
    }
}
