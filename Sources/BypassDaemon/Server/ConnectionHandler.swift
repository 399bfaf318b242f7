internal import BypassAPI
internal import JSONRPC
internal import NIOCore
internal import StrictJSON

/// One client: lines in, answers out, in order, one request at a time, and between them what it has subscribed to.
///
/// What a client can make the daemon hold is bounded: while a request is carried out, or answers wait to be read, no
/// further request is taken, and beyond a line's worth of bytes nothing more is read from the socket. So is the time for
/// which it is held, and the time for which a client keeps its event loop from others.
final class ConnectionHandler: ChannelDuplexHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundIn = Never
    typealias OutboundOut = ByteBuffer

    /// The user event that ends a connection after what was begun.
    struct Finish: Sendable {
        /// What the client is told at the end, if that is because of a limit.
        var limit: Limits.Name?
        /// Whether a client that is still sending gets the time to read it.
        var lingers = true
    }

    private enum Phase {
        /// Lines are taken.
        case open
        /// No more is read: what is left is answered, then the end.
        case draining
        /// The last answer has been written; what still comes in is thrown away until the client closes too.
        case lingering
    }

    private let session: Session
    private let limits: Limits

    private var framer: LineFramer
    private var phase = Phase.open
    private var line: RequestLine?
    /// Nothing is taken before something comes: an answer, or this connection's turn.
    private var isWaiting = false
    /// Work is under way further down the stack: an answer that is there at once does not go on by itself.
    private var isWorking = false
    /// Until then it stands in line for every turn, also for the first after a pause.
    private var greedyUntil = NIODeadline.distantPast
    /// NIO wants to read, but there is enough to do.
    private var hasHeldRead = false
    private var backlog = 0
    private var lineTime = Countdown()
    private var idleTime = Countdown()
    private var unreadTime = Countdown()
    /// How it ends. One that is turned away can be told so not before the channel is active.
    private var finish: Finish?

    /// How long the client may take to read its last answer and close.
    private static let lingerTime = TimeAmount.seconds(2)

    init(
        router: Router, limits: Limits, peer: Peer, seat: Seat, connections: Connections, finish: Finish? = nil
    ) {
        session = Session(router: router, limits: limits, peer: peer, seat: seat, connections: connections)
        self.limits = limits
        self.finish = finish
        framer = LineFramer(limit: limits.line)
    }

    // MARK: bytes and events

    func channelActive(context: ChannelHandlerContext) {
        session.subscription.wake = { self.work(context) }
        if finish != nil { end(context) } else { watchIdle(context, for: .seconds(Int64(limits.idleSeconds))) }
        context.fireChannelActive()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard phase == .open else { return }
        let bytes = unwrapInboundIn(data)
        backlog += bytes.readableBytes
        framer.feed(bytes.readableBytesUInt8Span)
        work(context)
    }

    func read(context: ChannelHandlerContext) {
        if phase != .lingering && backlog > limits.line {
            hasHeldRead = true
        } else {
            context.read()
        }
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        work(context)
        context.fireChannelWritabilityChanged()
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        switch event {
        case ChannelEvent.inputClosed:
            if phase == .lingering { return context.close(promise: nil) }
            phase = .draining
            lineTime.stop()
            work(context)
        case let finish as Finish:
            if phase == .lingering { return }
            self.finish = finish
            if line == nil { return end(context) }
            phase = .draining
            framer = LineFramer(limit: limits.line)
        default:
            context.fireUserInboundEventTriggered(event)
        }
    }

    func channelInactive(context: ChannelHandlerContext) {
        stop()
        context.fireChannelInactive()
    }

    /// A client that goes away is no fault of the daemon's.
    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        context.close(promise: nil)
    }

    // MARK: lines

    /// Carries out requests, one after the other, until one has to be waited for, or it is somebody else's turn, or
    /// there are no more.
    private func work(_ context: ChannelHandlerContext, hasTurn: Bool = false) {
        if isWorking { return }
        isWorking = true
        var now = context.eventLoop.now
        let turnEnd = hasTurn || now >= greedyUntil ? now + Turns.length : now
        while !isWaiting && phase != .lingering && hasRoom(context) {
            guard now < turnEnd else {
                waitForTurn(context, at: now)
                break
            }
            guard takeStep(context, at: now) else { break }
            now = context.eventLoop.now
        }
        isWorking = false
        // What is answered goes out, also while something else has to be waited for, or nobody reads.
        context.flush()
        if phase == .lingering { return }
        watchUnread(context)
        if isWaiting || !context.channel.isWritable { return }
        // Everything that came has been taken.
        backlog = 0
        if phase == .draining { return end(context) }
        watchLine(context)
        if hasHeldRead {
            hasHeldRead = false
            context.read()
        }
    }

    /// An answer that was waited for has come.
    private func goOn(_ context: ChannelHandlerContext) {
        isWaiting = false
        work(context)
    }

    private func waitForTurn(_ context: ChannelHandlerContext, at now: NIODeadline) {
        isWaiting = true
        greedyUntil = now + Turns.memory
        session.connections.turns(on: context.eventLoop).wait {
            self.isWaiting = false
            self.work(context, hasTurn: true)
        }
    }

    /// Whether an answer may be written. What is written but not sent counts against the room, so it is sent first.
    private func hasRoom(_ context: ChannelHandlerContext) -> Bool {
        if !context.channel.isWritable { context.flush() }
        return context.channel.isWritable
    }

    /// Carries out one request, or begins or ends a line; false if there is nothing to do.
    private func takeStep(_ context: ChannelHandlerContext, at now: NIODeadline) -> Bool {
        if let line {
            carryOut(line, context, at: now)
            return true
        }
        if let event = session.subscription.next() {
            tell(event, context)
            return true
        }
        guard let frame = framer.next() ?? (phase == .draining ? framer.finish() : nil) else { return false }
        // The time is one for each line.
        lineTime.stop()
        switch frame {
        case .line(let bytes):
            session.seat.begin()
            line = RequestLine(bytes, limits)
        case .blank: break
        case .overlong: refuse(.line, context)
        }
        return true
    }

    private func tell(_ event: EventLog.Next, _ context: ChannelHandlerContext) {
        switch event {
        case .line(let line): context.write(wrapOutboundOut(ByteBuffer(bytes: line)), promise: nil)
        case .forgotten:
            session.connections.noteBehind(session.seat, on: context.eventLoop)
            refuse(.events, context)
        }
    }

    private func carryOut(_ line: RequestLine, _ context: ChannelHandlerContext, at now: NIODeadline) {
        if line.isDone {
            if let end = line.finish() { context.write(wrapOutboundOut(ByteBuffer(bytes: end)), promise: nil) }
            self.line = nil
            session.seat.end(at: now)
            return
        }
        if let piece = line.takePiece() { context.write(wrapOutboundOut(ByteBuffer(bytes: piece)), promise: nil) }
        if let answer = line.carryOutNext(session, on: context.eventLoop, at: now) {
            isWaiting = true
            answer.whenSuccess { self.goOn(context) }
        }
    }

    // MARK: time

    /// A line that was begun has to end.
    private func watchLine(_ context: ChannelHandlerContext) {
        guard framer.isInsideLine else { return lineTime.stop() }
        lineTime.start(.seconds(Int64(limits.lineSeconds)), on: context.eventLoop) {
            self.refuse(.lineSeconds, context)
        }
    }

    /// Answers have to be read. Events may wait for as long as they are kept anyway.
    private func watchUnread(_ context: ChannelHandlerContext) {
        let isPatient = session.subscription.isActive && !session.subscription.isBehind && line == nil
        if context.channel.isWritable || isPatient { unreadTime.stop() } else { cutOffUnlessRead(context) }
    }

    private func cutOffUnlessRead(_ context: ChannelHandlerContext) {
        unreadTime.start(.seconds(Int64(limits.unreadSeconds)), on: context.eventLoop) {
            self.session.connections.noteUnread(self.session.seat, on: context.eventLoop)
            context.close(promise: nil)
        }
    }

    /// A client has to ask for something now and then. Most do all the time: when the time is up it is looked after when
    /// that was, instead of beginning anew with every request.
    private func watchIdle(_ context: ChannelHandlerContext, for time: TimeAmount) {
        idleTime.start(time, on: context.eventLoop) {
            self.idleTime.stop()
            let allowed = TimeAmount.seconds(Int64(self.limits.idleSeconds))
            // What is under way, or waits to be read, has times of its own.
            let isBusy = self.session.seat.isBusy || self.framer.isInsideLine || !context.channel.isWritable
            // A subscriber is there for what it is told.
            if self.session.subscription.isActive || isBusy { return self.watchIdle(context, for: allowed) }
            let left = self.session.seat.idleSince + allowed - context.eventLoop.now
            if left > .zero { self.watchIdle(context, for: left) } else { self.refuse(.idleSeconds, context) }
        }
    }

    // MARK: ends

    /// Answers something that can't be answered in step, and ends the connection.
    private func refuse(_ limit: Limits.Name, _ context: ChannelHandlerContext) {
        finish = Finish(limit: limit)
        end(context)
    }

    /// Sends what is written, and for which limit it ends, then an end of stream. A client that is still sending gets to
    /// read its answer: closing at once would reset the connection under it.
    private func end(_ context: ChannelHandlerContext) {
        if let limit = finish?.limit {
            context.write(wrapOutboundOut(ByteBuffer(bytes: RequestLine.telling(limit, limits))), promise: nil)
        }
        let hadInputClosed = phase == .draining
        let isBehind = finish?.limit == .events
        stop()
        // A client that is behind has to read much before it comes to the last line.
        if hadInputClosed || isBehind {
            // A close drops what the socket has not taken yet: it waits for the last byte, but not for ever.
            cutOffUnlessRead(context)
            let sent = context.writeAndFlush(wrapOutboundOut(ByteBuffer()))
            return sent.assumeIsolated().whenComplete { _ in context.close(promise: nil) }
        }
        context.flush()
        if finish?.lingers == false { return context.close(promise: nil) }
        context.close(mode: .output, promise: nil)
        context.eventLoop.assumeIsolated().scheduleTask(in: Self.lingerTime) { context.close(promise: nil) }
        context.read()
    }

    private func stop() {
        phase = .lingering
        session.subscription.end()
        session.subscription.wake = {}
        lineTime.stop()
        idleTime.stop()
        unreadTime.stop()
    }
}
