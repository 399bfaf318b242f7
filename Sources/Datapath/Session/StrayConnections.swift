internal import Bypass
internal import Linux
internal import Netfilter
internal import SystemPackage

/// TCP connections that take another way than new ones would, with the sockets by which they are ended.
///
/// A connection ends at the application's side. Outbound that is its own socket: it gets ECONNABORTED at once. Inbound it is
/// what the client has reached, the proxy's socket or the application's: the client gets a reset, and connects again.
struct StrayConnections: ~Copyable {
    /// The number that TPROXY has given to the proxy; nil if the kernel does not say.
    private(set) var transparent: Int? = 0
    private(set) var ended = 0
    /// Those of them that were in the proxy.
    private(set) var endedInProxy = 0
    /// Of which it is not known where new ones would go: they are not ended.
    private var undecided = 0

    private struct Target {
        var socket: TCPSocket
        /// nil of what TPROXY has taken: conntrack has no mapping of it.
        var flow: TrackedFlow?
        var isInProxy: Bool
    }

    private var targets: [Target] = []
    /// In the proxy, and without a socket in the namespace.
    private var withoutSocket: [TrackedFlow] = []
    /// Perhaps given to the proxy by TPROXY.
    private var suspects: [TCPSocket] = []
    /// The ports on which sockets listen that TPROXY may give connections to.
    private var listening: Set<UInt16> = []
    /// The destination that redirected connections have reached.
    private let proxyEnds: Set<Endpoint>
    private let endsInbound: Bool
    private var diagnostics: NetlinkSocket

    private struct Pair: Hashable {
        var local: Endpoint
        var remote: Endpoint
    }

    /// - Parameters:
    ///   - flows: of TCP, that are selected.
    ///   - selection: nil if there are none.
    ///   - isMasked: whether what TPROXY has taken is one, too.
    ///   - hooks: where those were decided about that are to be ended.
    init(
        _ flows: [TrackedFlow], _ selection: FlowSelection?, isMasked: Bool, at hooks: HookSet,
        in session: borrowing NamespaceSession
    ) throws(NetfilterError) {
        var diagnostics = try session.openDiagnostics()
        var wanted: [Pair: TrackedFlow] = [:]
        for flow in flows {
            guard let selection, hooks.contains(selection.hook(of: flow)) else { continue }
            wanted[Self.ends(of: flow, selection)] = flow
        }
        let (sockets, isComplete) = try diagnostics.tcpSockets { socket in
            if socket.isListening { return isMasked && socket.isTransparent == true }
            return isMasked && socket.isTransparent != false
                || wanted[Pair(local: socket.local, remote: socket.remote)] != nil
        }
        proxyEnds = Set(flows.filter(\.isRedirected).map(\.responder))
        endsInbound = hooks.contains(.prerouting)
        self.diagnostics = diagnostics
        if isMasked && !isComplete { transparent = nil }
        for socket in sockets {
            if socket.isListening {
                listening.insert(socket.local.port)
            } else if let flow = wanted.removeValue(forKey: Pair(local: socket.local, remote: socket.remote)) {
                // What the proxy itself has is not the application's.
                if !flow.isRedirected && socket.isTransparent == true { continue }
                targets.append(Target(socket: socket, flow: flow, isInProxy: flow.isRedirected))
            } else {
                suspects.append(socket)
            }
        }
        withoutSocket = wanted.values.filter(\.isRedirected)
    }

    var hasSuspects: Bool { !suspects.isEmpty }

    /// TPROXY leaves a connection its address: the proxy's socket has one of the namespace's own, and a port on which the
    /// proxy does not listen.
    mutating func judgeSuspects(_ selection: FlowSelection) {
        for socket in suspects {
            let isInbound = selection.isOwn(socket.local) && !selection.isOwn(socket.remote)
            guard isInbound, selection.isBypassed(TrackedFlow(.tcp, from: socket.remote, to: socket.local)),
                !proxyEnds.contains(socket.local), !listening.contains(socket.local.port)
            else { continue }
            if socket.isTransparent == nil {
                transparent = nil
                continue
            }
            transparent? += 1
            if endsInbound { targets.append(Target(socket: socket, flow: nil, isInProxy: true)) }
        }
        suspects = []
    }

    private static func ends(of flow: TrackedFlow, _ selection: FlowSelection) -> Pair {
        if selection.isOwn(flow.source) { return Pair(local: flow.source, remote: flow.destination) }
        return Pair(local: flow.responder, remote: flow.source)
    }

    /// Whether some are past the proxy.
    var hasDirect: Bool { targets.contains { !$0.isInProxy } }

    /// Leaves alone what is past the proxy and would be without the bypass, as the proxy's own connections would be.
    ///
    /// - Parameter rules: as they are now.
    mutating func judgeDirect(_ rules: NamespaceRules, _ selection: FlowSelection, until deadline: Instant) {
        var ends: [FirstPacket: PacketPath.End] = [:]
        targets.removeAll { target in
            guard !target.isInProxy, let flow = target.flow else { return false }
            // The group of a socket cannot be asked for.
            let packet = FirstPacket(
                to: flow.destination.address, port: flow.destination.port, from: flow.source.address, isTCP: true,
                uid: target.socket.user, origin: selection.hook(of: flow) == .output ? .local : .outside)
            let end = ends[packet] ?? (Instant.now < deadline ? rules.end(of: packet) : .unknown)
            ends[packet] = end
            switch end {
            case .sidecar: return false
            case .application, .dropped: return true
            case .unknown:
                undecided += 1
                return true
            }
        }
    }

    /// Ends them. Where the kernel refuses that, conntrack forgets the connection, which then ends with its next packet.
    ///
    /// - Parameter conntrack: a socket of nfnetlink's.
    /// - Returns: why some could not be ended at once; nil if all were.
    mutating func end(_ conntrack: inout NetlinkSocket) throws(NetfilterError) -> String? {
        let reasons = [
            undecided > 0 ? "it is not known whether new ones would go to the sidecar instead of \(undecided)" : nil,
            try endTargets(&conntrack),
        ].compactMap(\.self)
        return reasons.isEmpty ? nil : reasons.joined(separator: "; ")
    }

    private mutating func endTargets(_ conntrack: inout NetlinkSocket) throws(NetfilterError) -> String? {
        let (refused, error) = try diagnostics.destroy(targets.map(\.socket))
        let isRefused = Set(refused)
        let done = targets.filter { !isRefused.contains($0.socket) }
        // conntrack keeps the entry of a connection that was reset by the server for ten seconds, and a new one from the same
        // port would take its mapping. One that it does not forget is gone, or ends like all others.
        _ = try conntrack.forget(done.compactMap(\.flow))
        (ended, endedInProxy) = (done.count, done.count(where: \.isInProxy))
        let kept = targets.filter { $0.isInProxy && isRefused.contains($0.socket) }
        let forgotten = kept.compactMap(\.flow) + withoutSocket
        if forgotten.isEmpty { return error.map { "\($0)" } }
        let staying =
            try conntrack.forget(forgotten).refused + refused.count
            - kept.count { $0.flow != nil }
        let reason =
            error == .notSupported
            ? "the kernel has no SOCK_DESTROY (CONFIG_INET_DIAG_DESTROY)" : error.map { "\($0)" }
        return (reason.map { $0 + ": " } ?? "") + "\(forgotten.count) end only with their next packet"
            + (staying > 0 ? ", but \(staying) could not be ended" : "")
    }
}
