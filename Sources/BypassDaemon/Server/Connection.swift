internal import Bypass
internal import BypassAPI
internal import JSONRPC
internal import Linux
internal import Synchronization

/// The state that all connections share.
struct ServerContext: Sendable {
    let router: Router
    let limits: Limits
    let connections: ConnectionRegistry
    let reaper: SocketReaper
    let log: RateLimitedLog
}

/// One client, served by one thread from its first byte to its last: read a line, execute it, write the answer.
struct Connection: ~Copyable {
    /// The actions of other threads on a connection: ask it to end, and wake it.
    final class Handle: Sendable {
        let slot: ConnectionSlot
        fileprivate let thread = WakeableThread()
        private let order = Mutex<CloseReason?>(nil)
        private let hasOrder = Atomic(false)

        init(_ slot: ConnectionSlot) {
            self.slot = slot
        }

        /// Has the connection's thread look for events and orders, wherever it waits.
        func wake() {
            thread.wake()
        }

        /// Asks the connection to end after what was begun. The first reason counts.
        func close(for reason: CloseReason) {
            order.withLock { $0 = $0 ?? reason }
            hasOrder.store(true, ordering: .releasing)
            wake()
        }

        fileprivate var closeOrder: CloseReason? {
            hasOrder.load(ordering: .acquiring) ? order.withLock(\.self) : nil
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
    private var readSize = Self.readSizes.usual

    /// How much is read at a time: most requests fit into what is read on the stack, and what fills that is read in larger
    /// pieces.
    private static let readSizes = (usual: 1024, large: 16 * 1024)
    /// A longer line is parsed in a place of the gate, as kernel work is: it takes a processor for a while.
    private static let longLine = 4 * 1024
    /// The time for the client to read its last answer and close.
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
        let thread = handle.thread
        thread.begin()
        defer { thread.end() }
        if let refusal { state.close(for: refusal) }
        // A client asks something as soon as it is connected, and under load the next request is there once others had the
        // processor: to look for it before sleeping costs less than to sleep and be woken.
        var expectsInput = true
        var now = Instant.now
        while true {
            if let reason = handle.closeOrder { state.close(for: reason) }
            if subscription.isActive { sendEvents() }
            switch state.next(at: now, isSubscribed: subscription.isActive) {
            case .execute(let line):
                now = execute(line)
                expectsInput = true
            case .chargeBlankLine: chargeBlankLine()
            case .awaitInput(let deadline):
                if expectsInput { Thread.yield() }
                let isReady =
                    expectsInput || socket.wait(for: .input, until: deadline, on: handle.thread) == .ready
                expectsInput = false
                now = .now
                if isReady { receive() } else { state.timedOut(at: now, isSubscribed: subscription.isActive) }
            case .close(let reason):
                sayFarewell(for: reason)
                return context.reaper.close(socket)
            }
        }
    }

    private mutating func receive() {
        switch socket.receive(atMost: readSize, { state.received($0) }) {
        case .bytes(let count): readSize = count < readSize ? Self.readSizes.usual : Self.readSizes.large
        case .endOfStream: state.inputEnded()
        case .descriptors: state.close(for: .descriptors)
        case .nothing: break
        }
    }

    // MARK: lines

    /// - Returns: when the last answer had been sent.
    private mutating func execute(_ line: ArraySlice<UInt8>) -> Instant {
        handle.slot.markBusy()
        let incoming = parse(line)
        writer.reset(answering: incoming)
        var isReachable = true
        for entry in incoming.entries where isReachable {
            execute(entry)
            if writer.writtenBytes > ResponseWriter.pieceSize {
                isReachable = writer.takeWritten().allSatisfy { send($0) }
            }
        }
        if isReachable, let answer = writer.finish() { send(answer) }
        afterAnswer.run()
        let now = Instant.now
        handle.slot.markIdle(since: now)
        state.lineExecuted(at: now)
        return now
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

    /// Past the rate there is no request that could be refused, so the connection waits until there is a token.
    private mutating func chargeBlankLine() {
        var isFirst = true
        while let next = context.connections.takeToken(handle.slot) {
            if isFirst { context.log.record(.requestRefused, .requestsPerSecond, uid: handle.slot.account) }
            isFirst = false
            while .now < next {
                if handle.closeOrder != nil { return }
                // Only a client that is gone ends the wait early.
                if socket.wait(for: .hangUp, until: next, on: handle.thread) == .ready {
                    return abandon()
                }
            }
        }
    }

    // MARK: output

    private mutating func sendEvents() {
        while let next = subscription.next() {
            // A new policy applies to what was begun under the old one.
            if let refusal = refusalOfEvents() {
                subscription.end()
                return state.close(for: .denied(refusal))
            }
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

    private mutating func refusalOfEvents() -> BypassError? {
        var call = Router.Call(peer: peer, subscription: subscription, afterAnswer: AfterAnswer())
        for method in subscription.methods {
            guard let refusal = context.router.refusal(of: method, &call) else { continue }
            call.afterAnswer.run()
            return refusal
        }
        return nil
    }

    /// Sends bytes, as fast as the client reads. A client that takes too long to read is cut off.
    ///
    /// - Parameter isEvent: events may wait for as long as the log keeps them.
    /// - Returns: false if the client is gone or cut off; the connection then ends.
    @discardableResult
    private mutating func send(_ bytes: [UInt8], isEvent: Bool = false) -> Bool {
        var rest = bytes[...]
        var deadline: Instant?
        var unread = UnreadAnswers.Share(of: context.connections.unread)
        defer { unread.update(to: 0) }
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
            // What waits for the answer waits no longer for a client that does not read it.
            afterAnswer.run()
            // Time begins when the client stops reading, and begins again whenever it has read something.
            if count > 0 { deadline = nil }
            if !isEvent { unread.update(to: rest.count) }
            if !isEvent || subscription.isBehind || handle.closeOrder != nil {
                deadline = deadline ?? .now + .seconds(context.limits.unreadSeconds)
            }
            if let deadline, .now >= deadline || unread.isToBeCutOff {
                context.log.record(.cutOff, .unreadSeconds, uid: handle.slot.account)
                abandon()
                return false
            }
            _ = socket.wait(for: .output, until: unread.nextLook(before: deadline), on: handle.thread)
        }
    }

    // MARK: the end

    /// Nothing more can be sent, no event either.
    private mutating func abandon() {
        subscription.end()
        state.close(for: .unreachable)
    }

    private mutating func sayFarewell(for reason: CloseReason) {
        subscription.end()
        if let error = ErrorObject(reason, context.limits), !send(error.line) { return }
        guard reason.farewell == .linger else { return }
        socket.shutDownWriting()
        let end = Instant.now + Self.lingerTime
        while .now < end {
            switch socket.wait(for: .input, until: end, on: handle.thread) {
            case .ready:
                switch socket.receive(atMost: Self.readSizes.large, { _ in }) {
                case .endOfStream, .descriptors: return
                case .bytes, .nothing: continue
                }
            case .woken, .timedOut: continue
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
