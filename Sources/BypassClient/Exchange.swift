internal import JSONRPC
internal import NIOCore

/// The requests under way on one connection. Lives on the event loop of its channel, and nowhere else.
///
/// Every continuation that comes in by ``send(_:_:timeout:_:)`` is resumed once: by its answer, its timeout, its
/// cancellation, or the end of the connection, whichever is first to take it out of `waiting`.
final class Exchange: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias Outcome = Result<JSONValue, BypassClientError>

    private struct Call {
        let continuation: CheckedContinuation<Outcome, Never>
        let timeout: Scheduled<Void>
    }

    private var framer: LineFramer
    private var waiting: [Int: Call] = [:]
    /// Requests nobody waits for any more, though their answers will come.
    private var abandoned: Set<Int> = []
    /// Why the connection ended. Kept for calls made later: the daemon may refuse a connection before its first
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
        var line = context.channel.allocator.buffer(capacity: 256)
        do {
            try request.write(into: &line)
        } catch {
            return continuation.resume(returning: .failure(.invalidRequest("\(error)")))
        }
        let timeout = context.eventLoop.assumeIsolated().scheduleTask(in: timeout) { self.abandon(id, .timedOut) }
        waiting[id] = Call(continuation: continuation, timeout: timeout)
        // A write fails only with its channel, whose end is told to all that wait.
        context.writeAndFlush(NIOAny(line), promise: nil)
    }

    /// Stops waiting for the answer to request `id`, if somebody still does.
    func abandon(_ id: Int, _ reason: BypassClientError) {
        if finish(id, .failure(reason)) { abandoned.insert(id) }
    }

    /// Gives the next notification to `continuation`, as soon as there is one.
    func takeNotification(_ continuation: CheckedContinuation<NotificationQueue.Outcome, Never>) {
        let endReason = context == nil ? self.endReason ?? .connectionClosed : self.endReason
        if notifications.take(continuation, endReason: endReason) { setReading(true) }
    }

    /// Whoever waits for a notification does not any more.
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

// MARK: what the channel tells

extension Exchange {
    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        self.context = nil
        end(.connectionClosed)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard endReason == nil else { return }
        framer.feed(unwrapInboundIn(data))
        while endReason == nil, let frame = framer.next() {
            switch frame {
            case .line(let line): receive(line)
            case .overlong: end(.invalidAnswer("a line is longer than \(framer.limit) bytes"))
            }
        }
    }

    func channelInactive(context: ChannelHandlerContext) {
        // A line that lacks its end is no answer: the daemon ends every one.
        end(.connectionClosed)
        context.fireChannelInactive()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        end(.connectionClosed)
    }

    private func receive(_ line: ByteBuffer) {
        let response: Response
        do {
            response = try Response.read(line)
        } catch {
            guard let notification = Notification(line) else { return end(.invalidAnswer(error.description)) }
            if notifications.add(notification) { setReading(false) }
            return
        }
        let outcome = response.outcome.mapError { BypassClientError.refused(DaemonError($0)) }
        // With a null id an error answers no request that could be told; the daemon may close after it, as past its
        // limits.
        if response.id == .null, case .failure(let error) = outcome { return end(error) }
        guard case .number(let number) = response.id, let id = Int(exactly: number),
            finish(id, outcome) || abandoned.remove(id) != nil
        else { return end(.invalidAnswer("it answers a request that was not made")) }
    }
}

extension Notification {
    /// nil if it is none.
    fileprivate init?(_ line: ByteBuffer) {
        guard let object = try? JSONReader.read(line).object, object["id"] == nil,
            let method = object["method"]?.string, let params = object["params"]
        else { return nil }
        self.init(method: method, params: params)
    }
}

extension Request {
    fileprivate func write(into line: inout ByteBuffer) throws {
        switch params {
        case nil: RequestWriter.write(method: method, id: id, into: &line)
        case .named(let object): try RequestWriter.write(method: method, params: object, id: id, into: &line)
        case .positional(let values): try RequestWriter.write(method: method, params: values, id: id, into: &line)
        }
    }
}
