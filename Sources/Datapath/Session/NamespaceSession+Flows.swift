package import Bypass
internal import Linux
package import Netfilter
internal import SystemPackage

/// Flows that take another way than new ones would.
package struct StrayFlows: Hashable, Sendable {
    /// Established TCP connections that are still in the proxy; nil if they cannot be counted.
    package var connections: Int? = 0
    /// Flows of UDP that do not take their new way; nil if it is not known whether there are any.
    package var datagrams: Int? = 0
    /// TCP connections that were ended.
    package var ended = 0
    /// The reason that flows of UDP were not moved, or cannot be counted.
    package var reason: String?
    /// The reason that not all selected TCP connections were ended; nil if they were.
    package var notEnded: String?

    package init() {}
}

/// The treatment of flows that take another way than new ones would.
package enum FlowHandling: Hashable, Sendable {
    /// They are counted.
    case count
    /// UDP moves at once.
    case move
    /// So it does, and TCP connections that were decided about at these hooks are ended.
    case reset(HookSet)

    var endedHooks: HookSet { if case .reset(let hooks) = self { hooks } else { [] } }
}

extension NamespaceSession {
    /// For flows, in all.
    private static let flowTime = Interval.seconds(2)
    /// A flow can come back while others are forgotten, by an answer that was on its way.
    private static let maxRounds = 4
    /// A walk through the kernel's table takes time for each: with more of them it is not begun.
    private static let maxTracked = 65536
    private static let incomplete = "not all flows of the namespace could be read"

    /// Counts flows that take another way than new ones would, and has them take it.
    ///
    /// - Parameter isMasked: whether TPROXY would take inbound connections, and does not.
    package mutating func settle(_ change: FlowChange, _ handling: FlowHandling, isMasked: Bool) -> StrayFlows {
        var strays = StrayFlows()
        socket.deadline = .now + Self.flowTime
        do throws(NetfilterError) {
            try settle(change, handling, isMasked: isMasked, &strays)
        } catch {
            // Where no rule takes UDP, its flows have one way.
            if strays.datagrams == nil, known?.nat.datagramPorts.isEmpty == true { strays.datagrams = 0 }
            strays.reason = strays.reason ?? error.reason
            if !handling.endedHooks.isEmpty { strays.notEnded = error.reason }
        }
        return strays
    }

    private mutating func settle(
        _ change: FlowChange, _ handling: FlowHandling, isMasked: Bool, _ strays: inout StrayFlows
    ) throws(NetfilterError) {
        (strays.connections, strays.datagrams) = (nil, nil)
        // Most pods that are asked about have few, and many have none.
        guard let count = try socket.countOfFlows(), count <= Self.maxTracked else {
            throw .systemCall(SystemCallError("reading connections, of which there are many", .noBufferSpace))
        }
        let isInvolved = isMasked && change.now.hooks.contains(.prerouting)
        let masksConnections = isInvolved ? try mayHaveConnections() : false
        let nat = count == 0 ? NatRules() : try natRules()
        let isUninvolved = change.now.hooks.isEmpty && nat.datagramPorts.isEmpty && handling.endedHooks.isEmpty
        if !masksConnections && (count == 0 || isUninvolved) {
            (strays.connections, strays.datagrams) = (0, 0)
            return
        }
        var selection: FlowSelection?
        // The kernel walks through the flows of all namespaces to list those of one.
        var found = count == 0 ? (flows: [], isComplete: true) : try strayFlows(change, nat, handling, &selection)
        var connections: [TrackedFlow] = []
        for round in 1...Self.maxRounds {
            // Where there were too many flows at first, there is room for TCP's once those of UDP have gone.
            connections = found.flows.filter(\.isEstablished)
            strays.connections = found.isComplete ? connections.count(where: \.isRedirected) : nil
            let datagrams = found.flows.filter { $0.transport == .udp }
            // Nothing is lost with the entry of a connection that has ended.
            let closed = found.flows.filter(\.isClosed)
            strays.datagrams = datagrams.count
            if datagrams.isEmpty, !found.isComplete, !nat.datagramPorts.isEmpty {
                (strays.datagrams, strays.reason) = (nil, Self.incomplete)
            }
            if datagrams.isEmpty && closed.isEmpty || handling == .count { break }
            strays.datagrams = nil
            let outcome = try socket.forget(datagrams + closed)
            strays.reason = outcome.error.map { "\($0)" }
            if outcome.error != nil || round == Self.maxRounds {
                strays.datagrams = min(outcome.refused, datagrams.count)
                break
            }
            found = try strayFlows(change, nat, handling, &selection)
        }
        if !found.isComplete && !handling.endedHooks.isEmpty { strays.notEnded = Self.incomplete }
        if !masksConnections && (handling.endedHooks.isEmpty || connections.isEmpty) { return }
        let inProxy = strays.connections
        if masksConnections { strays.connections = nil }
        var ending = try StrayConnections(
            connections, selection, isMasked: masksConnections, at: handling.endedHooks, in: self)
        if ending.hasSuspects { ending.judgeSuspects(try self.selection(change, nat, &selection)) }
        strays.connections = inProxy.flatMap { counted in ending.transparent.map { $0 + counted } }
        if handling.endedHooks.isEmpty { return }
        if ending.hasDirect {
            ending.judgeDirect(try rulesNow(), try self.selection(change, nat, &selection), until: socket.deadline)
        }
        strays.notEnded = try ending.end(&socket) ?? strays.notEnded
        strays.ended = ending.ended
        strays.connections = strays.connections.map { $0 - ending.endedInProxy }
    }

    private mutating func strayFlows(
        _ change: FlowChange, _ nat: NatRules, _ handling: FlowHandling, _ selection: inout FlowSelection?
    ) throws(NetfilterError) -> (flows: [TrackedFlow], isComplete: Bool) {
        let isReset = !handling.endedHooks.isEmpty
        let (candidates, isComplete) = try socket.flows {
            FlowSelection.isCandidate($0, change, nat) && (isReset || $0.isRedirected || !$0.isEstablished)
        }
        if candidates.isEmpty { return ([], isComplete) }
        let selected = try self.selection(change, nat, &selection)
        return (candidates.filter { selected.stray($0) != nil }, isComplete)
    }

    // MARK: what is read in the namespace

    /// The namespace's addresses are read once they are needed.
    private mutating func selection(
        _ change: FlowChange, _ nat: NatRules, _ known: inout FlowSelection?
    ) throws(NetfilterError) -> FlowSelection {
        if let known { return known }
        let own = try translatingErrors { () throws(SystemCallError) in try addresses() }
        let selection = FlowSelection(change: change, own: own, nat: nat)
        known = selection
        return selection
    }

    private mutating func natRules() throws(NetfilterError) -> NatRules {
        guard var nat = known?.nat else {
            throw .systemCall(SystemCallError("reading the rules that redirect", .noData))
        }
        nat.merge(try translatingErrors { () throws(SystemCallError) in try legacyTables().nat })
        return nat
    }

    private func rulesNow() throws(NetfilterError) -> NamespaceRules {
        try translatingErrors { () throws(SystemCallError) in
            try NamespaceRules(NetworkNamespace(of: socket.shared.descriptor), matcher: matcher, closer: parking.closer)
        }
    }

    /// Whether TCP connections of the namespace are established, or it is not known.
    private func mayHaveConnections() throws(NetfilterError) -> Bool {
        try translatingErrors { () throws(SystemCallError) in
            let file =
                if let counters { counters } else {
                    try withEntered { () throws(SystemCallError) in try NamespaceFile(TCPCounters.file) }
                }
            return try TCPCounters(file)?.established != 0
        }
    }

    /// Whether a program of the namespace listens on a TCP port.
    package func hasListener(on port: UInt16) throws(NetfilterError) -> Bool {
        var diagnostics = try openDiagnostics()
        return try diagnostics.hasListener(on: port)
    }

    /// Enters the namespace again, which most calls need not.
    func withEntered<Result: ~Copyable>(
        _ body: () throws(SystemCallError) -> Result
    ) throws(SystemCallError) -> Result {
        try NetworkNamespace(of: socket.shared.descriptor).withEntered(body)
    }

    /// A socket of sock_diag's in the namespace.
    func openDiagnostics() throws(NetfilterError) -> NetlinkSocket {
        try translatingErrors { () throws(SystemCallError) in
            try withEntered { () throws(SystemCallError) in try NetlinkSocket(for: .socketDiagnostics) }
        }
    }
}

/// A failed system call, among what is asked of netfilter.
private func translatingErrors<Result: ~Copyable>(
    _ body: () throws(SystemCallError) -> Result
) throws(NetfilterError) -> Result {
    do throws(SystemCallError) {
        return try body()
    } catch {
        throw .systemCall(error)
    }
}

extension NetfilterError {
    /// For people.
    var reason: String {
        switch self {
        case .refused(let operation, let errno, _): "\(operation): \(errno)"
        case .rulesetChanged: "the rules have changed meanwhile"
        case .systemCall(let error): "\(error)"
        }
    }
}
