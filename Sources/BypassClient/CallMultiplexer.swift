internal import JSONRPC
internal import NIOCore
internal import StrictJSON

/// Sends the requests of one connection and matches the answers to them. Lives on the event loop of its channel, and
/// nowhere else.
///
/// Every continuation given to ``send(_:_:timeout:_:)`` is resumed once: by its answer, its timeout, its cancellation or
/// the end of the connection. The first of them takes it out of `waiting`.
final class CallMultiplexer: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias Outcome = Result<JSONValue, BypassClientError>

    private struct Call {
        let continuation: CheckedContinuation<Outcome, Never>
        let timeout: Scheduled<Void>
    }

    private var framer: LineFramer
    private var waiting: [Int: Call] = [:]
    /// Requests without a waiting call: it timed out or was cancelled, but the answer will still come.
    private var abandoned: Set<Int> = []
    /// The reason for the connection's end. Kept for calls made later: the daemon may refuse a connection before its first
    /// request.
    private var endReason: BypassClientError?
    private var context: ChannelHandlerContext?
    private var notifications = NotificationQueue()

    init(answerLimit: Int) {
        framer = LineFramer(limit: answerLimit)
    }

    func send(
        _ request: Request, _ id: Int, timeout: TimeAmount, _ continuation: CheckedContinuation<Outcome, Never>
    ) {
        guard let context, endReason == nil else {
            return continuation.resume(returning: .failure(endReason ?? .connectionClosed))
        }
        let timeout = context.eventLoop.assumeIsolated().scheduleTask(in: timeout) { self.abandon(id, .timedOut) }
        waiting[id] = Call(continuation: continuation, timeout: timeout)
        // A write fails only with its channel, whose end fails all that wait.
        context.writeAndFlush(NIOAny(ByteBuffer(bytes: RequestWriter.line(of: request))), promise: nil)
    }

    /// Stops waiting for the answer to request `id`, unless it has come.
    func abandon(_ id: Int, _ reason: BypassClientError) {
        if finish(id, .failure(reason)) { abandoned.insert(id) }
    }

    /// Gives the next notification to `continuation` as soon as it comes.
    func takeNotification(_ continuation: CheckedContinuation<NotificationQueue.Outcome, Never>) {
        let endReason = context == nil ? self.endReason ?? .connectionClosed : self.endReason
        if notifications.take(continuation, endReason: endReason) { setReading(true) }
    }

    /// Stops waiting for a notification.
    func abandonNotification() { notifications.fail(.cancelled) }

    private func setReading(_ isReading: Bool) {
        // It fails with its channel only.
        try? context?.channel.syncOptions?.setOption(.autoRead, value: isReading)
    }

    private func finish(_ id: Int, _ outcome: Outcome) -> Bool {
        guard let call = waiting.removeValue(forKey: id) else { return false }
        call.timeout.cancel()
        call.continuation.resume(returning: outcome)
        return true
    }

    /// Ends the connection. Only the first reason counts: the others follow from it.
    private func end(_ reason: BypassClientError) {
        let reason = endReason ?? reason
        endReason = reason
        for id in waiting.keys { _ = finish(id, .failure(reason)) }
        notifications.fail(reason)
        context?.close(promise: nil)
    }
}

// MARK: channel events

extension CallMultiplexer {
    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        self.context = nil
        end(.connectionClosed)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard endReason == nil else { return }
        let bytes = unwrapInboundIn(data)
        framer.feed(bytes.readableBytesUInt8Span)
        while endReason == nil, let frame = framer.next() {
            switch frame {
            case .line(let line): receive(line)
            case .blank: break
            case .overlong: end(.invalidAnswer("a line is longer than \(framer.limit) bytes"))
            }
        }
    }

    func channelInactive(context: ChannelHandlerContext) {
        // A line without an end is not an answer: the daemon ends every line.
        end(.connectionClosed)
        context.fireChannelInactive()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        end(.connectionClosed)
    }

    private func receive(_ line: ArraySlice<UInt8>) {
        let response: Response
        do {
            response = try Response.read(line.span)
        } catch {
            guard let notification = Notification(line) else { return end(.invalidAnswer(error.description)) }
            if notifications.add(notification) { setReading(false) }
            return
        }
        let outcome = response.outcome.mapError { BypassClientError.refused(DaemonError($0)) }
        // An error with a null id answers the connection as a whole, such as one beyond a limit; the daemon may close it.
        if response.id == .null, case .failure(let error) = outcome { return end(error) }
        guard case .number(let number) = response.id, let id = Int(exactly: number),
            finish(id, outcome) || abandoned.remove(id) != nil
        else { return end(.invalidAnswer("it answers a request that was not made")) }
    }
}

extension Notification {
    /// nil if the line is not a notification.
    fileprivate init?(_ line: ArraySlice<UInt8>) {
        guard let object = try? JSONReader.read(line.span).object, object["id"] == nil,
            let method = object["method"]?.string, let params = object["params"]
        else { return nil }
        self.init(method: method, params: params)
    }
}

/// A message that the daemon sends to a subscriber.
struct Notification: Sendable {
    let method: String
    let params: JSONValue
}

/// Notifications that have not been taken yet, or the continuation that waits for one. Lives on its channel's event loop.
///
/// When it is full, nothing more is read until one is taken, and the daemon decides how long to keep a slow reader.
struct NotificationQueue {
    typealias Outcome = Result<Notification, BypassClientError>

    private var waiting: [Notification] = []
    private var listener: CheckedContinuation<Outcome, Never>?

    static let capacity = 64

    /// - Returns: whether no more should be read for now.
    mutating func add(_ notification: Notification) -> Bool {
        if let listener {
            self.listener = nil
            listener.resume(returning: .success(notification))
            return false
        }
        waiting.append(notification)
        return waiting.count >= Self.capacity
    }

    /// One listener at a time; an earlier one is cancelled.
    ///
    /// - Returns: whether there is room for more.
    mutating func take(_ continuation: CheckedContinuation<Outcome, Never>, endReason: BypassClientError?) -> Bool {
        fail(.cancelled)
        if !waiting.isEmpty {
            continuation.resume(returning: .success(waiting.removeFirst()))
        } else if let endReason {
            continuation.resume(returning: .failure(endReason))
        } else {
            listener = continuation
        }
        return waiting.isEmpty
    }

    mutating func fail(_ reason: BypassClientError) {
        listener?.resume(returning: .failure(reason))
        listener = nil
    }
}
