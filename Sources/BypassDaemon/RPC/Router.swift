internal import Bypass
internal import BypassAPI
internal import JSONRPC
internal import Linux
internal import StrictJSON

/// The method table: what each request has to be, and who executes it.
struct Router: Sendable {
    /// On whose behalf, and what the connection gets besides the answer.
    struct Call {
        let peer: Peer
        var subscription: Subscription
        var afterAnswer: AfterAnswer
    }

    private struct Method {
        var permission: Permission
        var metrics: DaemonMetrics.Calls
        /// Writes the answer, if the request wants one.
        var execute: @Sendable (Request, inout Call, inout ResponseWriter) throws(ErrorObject) -> Void
    }

    /// The reason that the peer may not call any method with this permission; nil if it may.
    typealias RoleCheck = @Sendable (Permission, Request, inout Call) -> BypassError?
    /// Runs work in a place of the gate that the peer's calls share.
    typealias Turn = @Sendable (Peer, () -> Void) -> Void

    private var methods: [String: Method] = [:]
    private let roleCheck: RoleCheck
    private let turn: Turn
    private let metrics: DaemonMetrics
    /// Those of unknown methods: what clients make up has no names in the metrics.
    private let unknownCalls: DaemonMetrics.Calls

    /// Without methods.
    init(
        metrics: DaemonMetrics, turn: @escaping Turn = { _, work in work() },
        roleCheck: @escaping RoleCheck = { _, _, _ in nil }
    ) {
        self.roleCheck = roleCheck
        self.turn = turn
        self.metrics = metrics
        unknownCalls = metrics.calls(of: "unknown")
    }

    /// Adds a method.
    ///
    /// - Parameter body: gives the method's result, or a value that writes the same.
    mutating func add<M: RPCMethod, Result: JSONWritable & SendableMetatype>(
        _: M.Type, _ body: @escaping @Sendable (M.Parameters, inout Call) throws(BypassError) -> Result
    ) {
        methods[M.name] = Method(permission: M.permission, metrics: metrics.calls(of: M.name)) {
            [metrics] request, call, writer throws(ErrorObject) in
            let parameters = try request.parameters(of: M.self)
            do throws(BypassError) {
                let result = try body(parameters, &call)
                if let id = request.id { writer.write(result: result, id: id) }
            } catch {
                metrics.countError(error)
                throw ErrorObject(error)
            }
        }
    }

    /// Executes a request, or refuses it before anything is done.
    func execute(_ request: Request, _ call: inout Call, into writer: inout ResponseWriter) {
        let began = Instant.now
        let method = methods[request.method]
        let calls = method?.metrics ?? unknownCalls
        do throws(ErrorObject) {
            guard let method else {
                throw .methodNotFound.detailed("no method \(String(reflecting: request.method))")
            }
            if let refusal = roleCheck(method.permission, request, &call) { throw ErrorObject(refusal) }
            try method.execute(request, &call, &writer)
            calls.record(nil, since: began)
        } catch {
            if let id = request.id { writer.write(error: error, id: id) }
            calls.record(error.kind, since: began)
        }
    }

    /// The reason that the peer may no longer call a method, whose events it still gets; nil if it may.
    func refusal(of method: String, _ call: inout Call) -> BypassError? {
        methods[method].flatMap { roleCheck($0.permission, Request(id: nil, method: method), &call) }
    }

    /// Does work that takes a processor for a while where the peer's kernel work is done, so that it cannot hold up others.
    func inTurn<Result>(of peer: Peer, _ work: () -> Result) -> Result {
        var result: Result?
        turn(peer) { result = work() }
        guard let result else { preconditionFailure("a turn was not taken") }
        return result
    }
}
