internal import Bypass
internal import BypassAPI
internal import JSONRPC
internal import Linux
internal import NIOCore
internal import StrictJSON

/// The method table: what each request has to be, and who carries it out.
struct Router: Sendable {
    /// An answer that knows how to write itself.
    struct Answer: Sendable {
        let write: @Sendable (_ writer: inout ResponseWriter, _ id: RequestID) -> Void
        /// The error's kind; nil if it is none.
        let failure: String?
    }

    enum Outcome {
        case now(Answer)
        case later(EventLoopFuture<Answer>)
    }

    /// On whose behalf, where the answer is waited for, and what the connection is told besides answers.
    struct Call {
        var peer: Peer
        var loop: any EventLoop
        var subscription: Subscription
    }

    private struct Method {
        var permission: Permission
        var calls: DaemonMetrics.Calls
        var run: @Sendable (Request, Call) throws(ErrorObject) -> Outcome
    }

    /// Whether the one who asks may call a method with this permission at all: nil if so.
    typealias Authorization = @Sendable (Peer, Permission, Request) -> BypassError?

    private var methods: [String: Method] = [:]
    private let authorize: Authorization
    private let counted: DaemonMetrics
    /// Those of methods that there are not: what clients make up has no names in the metrics.
    private let unknownCalls: DaemonMetrics.Calls

    /// Without methods.
    init(counted: DaemonMetrics, authorize: @escaping Authorization) {
        self.authorize = authorize
        self.counted = counted
        unknownCalls = counted.calls(of: "unknown")
    }

    init(_ engine: Engine, startedAt: UInt64, kernel: String) {
        self.init(counted: engine.counted) { engine.access.refusal(of: $0, asking: $1, in: $2) }
        later(BypassMethod.self) { engine.bypass($0, for: $1.peer, on: $1.loop) }
        later(StatusMethod.self) { engine.status($0, for: $1.peer, on: $1.loop) }
        later(ListMethod.self) { engine.list(on: $1.loop) }
        later(ExtendMethod.self) { engine.extend($0, for: $1.peer, on: $1.loop) }
        later(SubscribeMethod.self) { engine.subscribe($0, with: $1.subscription, on: $1.loop) }
        later(ClearMethod.self) { engine.clear($0, for: $1.peer, on: $1.loop) }
        now(MetricsMethod.self) { _, _ in engine.metrics() }
        now(InfoMethod.self) { _, _ in engine.info(startedAt: startedAt, kernel: kernel) }
        now(DiscoverMethod.self) { _, _ in OpenRPCDocument() }
    }

    /// Carries a request out, or refuses it before anything is done.
    func run(_ request: Request, _ call: Call) -> Outcome {
        let began = Clock.boottime
        let method = methods[request.method]
        let calls = method?.calls ?? unknownCalls
        switch run(method, request, call) {
        case .now(let answer):
            calls.note(answer.failure, since: began)
            return .now(answer)
        case .later(let answer):
            return .later(
                answer.map { answer in
                    calls.note(answer.failure, since: began)
                    return answer
                })
        }
    }

    private func run(_ method: Method?, _ request: Request, _ call: Call) -> Outcome {
        guard let method else {
            return .now(
                Self.answer(ErrorObject.methodNotFound.detailed("no method \(String(reflecting: request.method))")))
        }
        if let refusal = authorize(call.peer, method.permission, request) {
            return .now(Self.answer(ErrorObject(refusal)))
        }
        do throws(ErrorObject) {
            return try method.run(request, call)
        } catch {
            return .now(Self.answer(error))
        }
    }

    /// A method that answers at once, on the event loop.
    mutating func now<M: RPCMethod>(
        _: M.Type, _ body: @escaping @Sendable (M.Parameters, Call) -> M.Result
    ) {
        methods[M.name] = Method(permission: M.permission, calls: counted.calls(of: M.name)) {
            request, call throws(ErrorObject) in
            .now(Self.answer(body(try request.parameters(of: M.self), call)))
        }
    }

    /// A method that asks the kernel, elsewhere.
    mutating func later<M: RPCMethod>(
        _: M.Type, _ body: @escaping @Sendable (M.Parameters, Call) -> EventLoopFuture<M.Result>
    ) {
        methods[M.name] = Method(permission: M.permission, calls: counted.calls(of: M.name)) {
            [counted] request, call throws(ErrorObject) in
            .later(
                body(try request.parameters(of: M.self), call)
                    .map { Self.answer($0) }
                    .recover { error in
                        counted.noteError(error)
                        return Self.answer(ErrorObject(error))
                    })
        }
    }

    private static func answer(_ result: some JSONWritable & Sendable) -> Answer {
        Answer(write: { writer, id in writer.write(result: result, id: id) }, failure: nil)
    }

    private static func answer(_ error: ErrorObject) -> Answer {
        Answer(write: { writer, id in writer.write(error: error, id: id) }, failure: error.kind)
    }
}
