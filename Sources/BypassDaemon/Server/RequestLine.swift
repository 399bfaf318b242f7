internal import BypassAPI
internal import JSONRPC
internal import NIOCore

/// On whose behalf a line is answered, and by whom.
struct Session {
    var router: Router
    var limits: Limits
    var peer: Peer
    var seat: Seat
    var connections: Connections
    let subscription = Subscription()
}

/// A line that is being answered, one request after the other.
final class RequestLine {
    private var entries: ArraySlice<Incoming.Entry>
    private var writer: ResponseWriter

    /// Of the answer to a batch, more is sent ahead of the rest.
    private static let pieceSize = 16 * 1024

    init(_ line: ArraySlice<UInt8>, _ limits: Limits) {
        let incoming = Incoming.read(line, limits: .init(depth: limits.depth, batch: limits.batch))
        switch incoming {
        case .single(let entry): entries = [entry]
        case .batch(let batch): entries = batch[...]
        }
        writer = ResponseWriter(answering: incoming)
    }

    /// All of it has been carried out.
    var isDone: Bool { entries.isEmpty }

    /// What is to be sent now, and not kept until the line is done: the answers to a batch can be long.
    func takePiece() -> [UInt8]? {
        writer.writtenBytes > Self.pieceSize ? writer.takeWritten() : nil
    }

    /// What is left to be sent.
    func finish() -> [UInt8]? {
        writer.finish()
    }

    /// Carries out the next request.
    ///
    /// - Returns: what has to be waited for before the one after it, if something has.
    func carryOutNext(
        _ session: Session, on loop: any EventLoop, at now: NIODeadline
    ) -> EventLoopFuture<Void>.Isolated? {
        guard let entry = entries.popFirst() else { return nil }
        guard session.connections.mayAsk(session.seat, at: now, on: loop) else {
            if let id = entry.id { writer.write(error: ErrorObject(.requestsPerSecond, session.limits), id: id) }
            return nil
        }
        switch entry {
        case .rejection(let rejection):
            writer.write(error: rejection.error ?? Self.limitError(rejection, session.limits), id: rejection.id)
        case .request(let request):
            // Not the whole request: its parameters need not be kept until the answer comes.
            let id = request.id
            let call = Router.Call(peer: session.peer, loop: loop, subscription: session.subscription)
            switch session.router.run(request, call) {
            case .now(let answer):
                if let id { answer.write(&writer, id) }
            case .later(let answer):
                return answer.assumeIsolated().map { answer in
                    if let id { answer.write(&self.writer, id) }
                }
            }
        }
        return nil
    }

    private static func limitError(_ rejection: Rejection, _ limits: Limits) -> ErrorObject {
        guard case .limitExceeded(let limit, _) = rejection.reason else { return .invalidRequest }
        return ErrorObject(limit == .depth ? .depth : .batch, limits)
    }

    /// The line that tells a client which limit it has gone beyond, where that answers no request.
    static func telling(_ limit: Limits.Name, _ limits: Limits) -> [UInt8] {
        let refusal = Incoming.single(.rejection(Rejection(id: .null, reason: .invalidRequest(""))))
        var writer = ResponseWriter(answering: refusal)
        writer.write(error: ErrorObject(limit, limits), id: .null)
        return writer.finish() ?? []
    }
}
