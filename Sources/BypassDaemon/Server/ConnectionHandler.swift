internal import BypassAPI
internal import JSONRPC
internal import NIOCore

/// One client: lines in, answers out, in order, one request at a time.
///
/// What a client can make the daemon hold is bounded: while a request is carried out, or answers wait to be read, no
/// further line is taken, and beyond a line's worth of bytes nothing more is read from the socket.
final class ConnectionHandler: ChannelDuplexHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundIn = Never
    typealias OutboundOut = ByteBuffer

    /// The user event that ends a connection after what was begun.
    struct Finish: Sendable {}

    private enum Phase {
        /// Lines are taken.
        case open
        /// The client has shut down its writing side: what is left is answered, then the end.
        case draining
        /// The last answer has been written; what still comes in is thrown away until the client closes too.
        case lingering
    }

    private let router: Router
    private let limits: Limits
    private let peer: Peer
    private var framer: LineFramer
    private var phase = Phase.open
    private var isBusy = false
    /// Lines are being taken, further down the stack: an answer that is there at once does not take the next line itself.
    private var isTaking = false
    /// NIO wants to read, but there is enough to do.
    private var hasHeldRead = false
    private var backlog = 0
    private var lineTimer: Scheduled<Void>?
    /// The limit for which the client is turned away as soon as it can be told: not before the channel is active.
    private let refusal: Limits.Name?

    /// How long the client may take to read its last answer and close.
    private static let lingerTime = TimeAmount.seconds(2)

    init(router: Router, limits: Limits, peer: Peer, refusal: Limits.Name? = nil) {
        self.refusal = refusal
        self.router = router
        self.limits = limits
        self.peer = peer
        framer = LineFramer(limit: limits.line)
    }

    // MARK: bytes and events

    func channelActive(context: ChannelHandlerContext) {
        if let refusal { refuse(refusal, context) }
        context.fireChannelActive()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard phase == .open else { return }
        let bytes = unwrapInboundIn(data)
        backlog += bytes.readableBytes
        framer.feed(bytes)
        takeLines(context)
    }

    func read(context: ChannelHandlerContext) {
        if phase != .lingering && backlog > limits.line {
            hasHeldRead = true
        } else {
            context.read()
        }
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        takeLines(context)
        context.fireChannelWritabilityChanged()
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        switch event {
        case ChannelEvent.inputClosed:
            if phase == .lingering { return context.close(promise: nil) }
            phase = .draining
            takeLines(context)
        case is Finish:
            if !isBusy { return end(context) }
            phase = .draining
            framer = LineFramer(limit: limits.line)
        default:
            context.fireUserInboundEventTriggered(event)
        }
    }

    func channelInactive(context: ChannelHandlerContext) {
        lineTimer?.cancel()
        phase = .lingering
        context.fireChannelInactive()
    }

    /// A client that goes away is no fault of the daemon's.
    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        context.close(promise: nil)
    }

    // MARK: lines

    /// Carries out lines, one after the other, until one has to be waited for or there are no more.
    private func takeLines(_ context: ChannelHandlerContext) {
        if isTaking { return }
        isTaking = true
        while !isBusy && phase != .lingering && hasRoom(context) {
            guard let frame = framer.next() ?? (phase == .draining ? framer.finish() : nil) else { break }
            // The time is one for each line.
            lineTimer?.cancel()
            lineTimer = nil
            switch frame {
            case .line(let line):
                answer(Incoming.read(line, limits: .init(depth: limits.depth, batch: limits.batch)), context)
            case .overlong: refuse(.line, context)
            }
        }
        isTaking = false
        // What is answered goes out, also while something else has to be waited for, or nobody reads.
        context.flush()
        if isBusy || phase == .lingering || !context.channel.isWritable { return }
        // Everything that came has been taken.
        backlog = 0
        if phase == .draining { return end(context) }
        watchLine(context)
        if hasHeldRead {
            hasHeldRead = false
            context.read()
        }
    }

    /// Whether an answer may be written. What is written but not sent counts against the room, so it is sent first.
    private func hasRoom(_ context: ChannelHandlerContext) -> Bool {
        if !context.channel.isWritable { context.flush() }
        return context.channel.isWritable
    }

    private func answer(_ incoming: Incoming, _ context: ChannelHandlerContext) {
        let entries: [Incoming.Entry]
        switch incoming {
        case .single(let entry): entries = [entry]
        case .batch(let batch): entries = batch
        }
        carryOut(entries[...], ResponseWriter(answering: incoming), context)
    }

    /// Carries out the entries of a line in their order, and sends the answers when the last is done.
    private func carryOut(
        _ entries: ArraySlice<Incoming.Entry>, _ writer: ResponseWriter, _ context: ChannelHandlerContext
    ) {
        var writer = writer
        var entries = entries
        while let entry = entries.popFirst() {
            switch entry {
            case .rejection(let rejection):
                writer.write(error: rejection.error ?? limitError(rejection), id: rejection.id)
            case .request(let request):
                switch router.run(request, .init(peer: peer, loop: context.eventLoop)) {
                case .now(let answer):
                    if let id = request.id { answer(&writer, id) }
                case .later(let answer):
                    isBusy = true
                    let rest = entries
                    let begun = writer
                    answer.assumeIsolated().whenSuccess { answer in
                        var writer = begun
                        if let id = request.id { answer(&writer, id) }
                        self.isBusy = false
                        self.carryOut(rest, writer, context)
                        self.takeLines(context)
                    }
                    return
                }
            }
        }
        if let line = writer.finish() { context.write(wrapOutboundOut(line), promise: nil) }
    }

    private func limitError(_ rejection: Rejection) -> ErrorObject {
        guard case .limitExceeded(let limit, _) = rejection.reason else { return .invalidRequest }
        return ErrorObject(limit == .depth ? .depth : .batch, limits)
    }

    // MARK: ends

    /// Answers something that can't be answered in step, and ends the connection.
    private func refuse(_ limit: Limits.Name, _ context: ChannelHandlerContext) {
        context.write(wrapOutboundOut(Self.line(refusing: limit, limits)), promise: nil)
        end(context)
    }

    /// The line that tells a client which limit it has gone beyond.
    static func line(refusing limit: Limits.Name, _ limits: Limits) -> ByteBuffer {
        let refusal = Incoming.single(.rejection(Rejection(id: .null, reason: .invalidRequest(""))))
        var writer = ResponseWriter(answering: refusal)
        writer.write(error: ErrorObject(limit, limits), id: .null)
        return writer.finish() ?? ByteBuffer()
    }

    /// Sends what is written, then an end of stream. A client that is still sending gets to read its answer: closing at
    /// once would reset the connection under it.
    private func end(_ context: ChannelHandlerContext) {
        let hadInputClosed = phase == .draining
        phase = .lingering
        lineTimer?.cancel()
        if hadInputClosed {
            // A close drops what the socket has not taken yet: it waits for the last byte.
            let sent = context.writeAndFlush(wrapOutboundOut(ByteBuffer()))
            return sent.assumeIsolated().whenComplete { _ in context.close(promise: nil) }
        }
        context.flush()
        context.close(mode: .output, promise: nil)
        context.eventLoop.assumeIsolated().scheduleTask(in: Self.lingerTime) { context.close(promise: nil) }
        context.read()
    }

    /// A line that was begun has to end.
    private func watchLine(_ context: ChannelHandlerContext) {
        if !framer.isInsideLine {
            lineTimer?.cancel()
            lineTimer = nil
        } else if lineTimer == nil {
            lineTimer = context.eventLoop.assumeIsolated().scheduleTask(in: .seconds(Int64(limits.lineSeconds))) {
                if self.phase == .open && !self.isBusy { self.refuse(.lineSeconds, context) }
            }
        }
    }
}
