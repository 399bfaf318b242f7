internal import BypassAPI
internal import CoreMetrics
internal import JSONRPC
internal import Linux
internal import Logging
internal import Synchronization

/// The connections that are open: what limits are counted on, and who is asked to end.
final class ConnectionRegistry: Sendable {
    private struct State {
        var limiter: ConnectionLimiter
        /// Of every connection that has a thread, by its slot.
        var handles: [ObjectIdentifier: Connection.Handle] = [:]
    }

    private let state: Monitor<State>
    private let buckets: Monitor<TokenBuckets>
    private let metrics: DaemonMetrics
    let unread = UnreadAnswers()

    init(limits: Limits, metrics: DaemonMetrics) {
        state = Monitor(State(limiter: ConnectionLimiter(limits: limits)))
        buckets = Monitor(TokenBuckets(perSecond: limits.requestsPerSecond))
        self.metrics = metrics
    }

    /// Counts a connection in. If it takes the place of another one, that is asked to end.
    func admit(_ handle: Connection.Handle) -> ConnectionLimiter.Decision {
        let (decision, evicted) = state.withLock { state -> (ConnectionLimiter.Decision, Connection.Handle?) in
            let decision = state.limiter.admit(handle.slot)
            state.handles[ObjectIdentifier(handle.slot)] = handle
            metrics.connections.set(Int64(state.handles.count))
            guard case .admittedEvicting(let slot, _) = decision else { return (decision, nil) }
            return (decision, state.handles[ObjectIdentifier(slot)])
        }
        if case .admittedEvicting(_, let lingers) = decision {
            evicted?.close(for: .noRoom(.connections, lingers: lingers))
        }
        return decision
    }

    /// Counts a connection out.
    func remove(_ handle: Connection.Handle) {
        state.update { state in
            state.limiter.release(handle.slot)
            state.handles[ObjectIdentifier(handle.slot)] = nil
            metrics.connections.set(Int64(state.handles.count))
        }
    }

    var count: Int { state.withLock { $0.handles.count } }

    /// Whether no connection executes a line.
    var isIdle: Bool { state.withLock { $0.handles.values.allSatisfy { !$0.slot.isBusy } } }

    /// Whether one more request is within what its account may ask: nil if so, else when it will be. Root may ask as much
    /// as it likes.
    func takeToken(_ slot: ConnectionSlot) -> Instant? {
        slot.account == 0 ? nil : buckets.withLock { $0.take(slot.account, at: .now) }
    }

    /// Asks every connection to answer what was begun and to end, and waits until they have, or the time is over.
    func closeAll(within grace: Interval) {
        for handle in state.withLock({ Array($0.handles.values) }) { handle.close(for: .shutdown) }
        let deadline = Instant.now + grace
        _ = state.wait(until: deadline) { $0.handles.isEmpty ? () : nil }
    }
}

/// Takes clients in: who is it, is there room, and then a thread.
struct Acceptor: Sendable {
    private let context: ServerContext
    private let accounts: SubordinateAccounts
    private let logger: Logger

    init(_ context: ServerContext, accounts: SubordinateAccounts, logger: Logger) {
        self.context = context
        self.accounts = accounts
        self.logger = logger
    }

    /// Serves clients until the listener is stopped. The calling thread is used up.
    func run(_ listener: UnixListener) {
        var nextLog = Instant.now
        while true {
            do throws(SystemCallError) {
                guard let accepted = try listener.accept() else { return }
                try startConnection(accepted)
            } catch {
                // Clients come again at once, and must not be able to flood the journal.
                if .now < nextLog { continue }
                nextLog = .now + .seconds(1)
                logger.error("accept failed", metadata: ["error": "\(error)"])
            }
        }
    }

    func startConnection(_ accepted: consuming AcceptedConnection) throws(SystemCallError) {
        let uid = accepted.credentials.uid
        let handle = Connection.Handle(ConnectionSlot(uid: uid, account: accounts.account(of: uid), at: .now))
        var refusal: CloseReason?
        switch context.connections.admit(handle) {
        case .admitted: break
        case .admittedEvicting(let evicted, _):
            context.log.record(.evicted, .connections, uid: evicted.account)
        case .refused(let limit, let lingers):
            context.log.record(.refused, limit, uid: handle.slot.account)
            // No thread for one of very many that are refused.
            if !lingers {
                context.connections.remove(handle)
                return refuse(accepted.intoSocket(), sending: ErrorObject(limit, context.limits).line)
            }
            refusal = .noRoom(limit, lingers: true)
        }
        // It does not matter what process a refused client is.
        let peer = Peer(accepted.credentials, account: handle.slot.account, refusal == nil ? accepted.process : nil)
        let socket = Handover(accepted.intoSocket())
        do throws(SystemCallError) {
            try Thread.start("connection") { [context, refusal] in
                guard let socket = socket.take() else { return }
                Connection(socket, handle, peer, context).serve(refusal: refusal)
                context.connections.remove(handle)
            }
        } catch {
            context.connections.remove(handle)
            if let socket = socket.take() { context.reaper.close(socket) }
            throw error
        }
        // The client's process has hardly had the time to end, and its own thread need not wait for this.
        peer.resolveOrigin()
    }

    /// A new connection has room for a few bytes; whether they arrive is the client's concern.
    private func refuse(_ socket: consuming StreamSocket, sending line: [UInt8]) {
        _ = socket.send(line[...])
        context.reaper.close(socket)
    }

    /// Carries a socket into its thread.
    private final class Handover: Sendable {
        private let socket: Mutex<StreamSocket?>

        init(_ socket: consuming StreamSocket) {
            self.socket = Mutex(socket)
        }

        func take() -> StreamSocket? { socket.withLock { $0.take() } }
    }
}

/// One client: who it is, taken once, when its connection was accepted.
final class Peer: Sendable {
    private enum Origin {
        case unresolved(PeerProcess)
        case resolved(PeerProcess.Origin?)
    }

    let credentials: PeerCredentials
    /// The account that its uid counts for.
    let account: UInt32
    private let state: Mutex<Origin>

    /// - Parameter process: nil if no record will name it.
    init(_ credentials: PeerCredentials, account: UInt32, _ process: PeerProcess? = nil) {
        self.credentials = credentials
        self.account = account
        state = Mutex(process.map(Origin.unresolved) ?? .resolved(nil))
    }

    /// Its process; nil if that had ended before it could be read.
    var origin: PeerProcess.Origin? {
        state.withLock { state in
            switch state {
            case .resolved(let origin): return origin
            case .unresolved(let process):
                let origin = process.origin()
                state = .resolved(origin)
                return origin
            }
        }
    }

    /// Reads what process it is, and lets go of it.
    func resolveOrigin() {
        _ = origin
    }
}
