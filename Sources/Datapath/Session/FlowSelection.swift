package import Bypass
package import BypassAPI
internal import Linux
internal import Netfilter

/// A change of what is bypassed, as flows see it that are older.
package struct FlowChange: Hashable, Sendable {
    /// The connections that bypassed the sidecar until now.
    package var before: BypassedConnections
    /// Those that do from now on.
    package var now: BypassedConnections

    package init(before: BypassedConnections, now: BypassedConnections) {
        self.before = before
        self.now = now
    }

    /// The hooks at which connections pass the sidecar again, perhaps only some.
    package var ended: HookSet {
        let isScopeKept = before.scope == now.scope || before.scope.isSubset(of: now.scope)
        return isScopeKept ? before.hooks.subtracting(now.hooks) : before.hooks
    }
}

/// The connections that bypass the sidecar.
package struct BypassedConnections: Hashable, Sendable {
    package var hooks: HookSet
    package var scope: Scope

    package init(_ hooks: HookSet, _ scope: Scope = .all) {
        self.hooks = hooks
        self.scope = scope
    }
}

extension Scope {
    /// - Parameter remote: the other side; nil if it is not known.
    /// - Returns: nil if the scope depends on what is not known.
    func contains(port: UInt16, remote: IPAddress?) -> Bool? {
        if self == .all { return true }
        let hasNetworks = [only, except].contains { $0?.networks.isEmpty == false }
        // Without networks, any address serves.
        let address = remote?.bytes ?? (hasNetworks ? nil : [0, 0, 0, 0])
        return address.flatMap { InternetAddress(bytes: $0) }.map { contains(port: port, remote: $0) }
    }
}

/// The flows that take another way than new ones would.
struct FlowSelection {
    var change: FlowChange
    /// The namespace's addresses.
    var own: Set<IPAddress>
    var nat: NatRules

    /// The path of such a flow.
    enum Stray: Hashable {
        case proxy, direct
    }

    /// Whether a flow may be one. It is cheap: most flows are none, and are not kept.
    static func isCandidate(_ flow: TrackedFlow, _ change: FlowChange, _ nat: NatRules) -> Bool {
        if flow.transport == .tcp && !flow.isEstablished && !flow.isClosed { return false }
        if flow.isRedirected { return !change.now.hooks.isEmpty }
        if change.ended.isEmpty { return false }
        return flow.transport == .tcp || nat.datagramPorts.contains(flow.destination.port)
            || nat.datagramPorts.contains(flow.source.port)
    }

    func stray(_ flow: TrackedFlow) -> Stray? {
        if flow.isRedirected { return isBypassed(flow) && isOwn(flow.responder) && !isOthers(flow) ? .proxy : nil }
        // What stays in the namespace is not redirected; nor is, in it, an answer.
        if isOwn(flow.source) && isOwn(flow.destination) { return nil }
        var question = flow
        if flow.transport == .udp && !nat.datagramPorts.contains(flow.destination.port) {
            // An answer that came when conntrack had forgotten the question: a flow of its own, as far as conntrack knows.
            (question.source, question.destination) = (flow.destination, flow.source)
        }
        return wasBypassed(question) && !isBypassed(question) ? .direct : nil
    }

    func isBypassed(_ flow: TrackedFlow) -> Bool { isIn(change.now, flow) }

    private func wasBypassed(_ flow: TrackedFlow) -> Bool { isIn(change.before, flow) }

    /// By the flow's direction, the port that was asked for, and the other side.
    private func isIn(_ bypassed: BypassedConnections, _ flow: TrackedFlow) -> Bool {
        let direction = hook(of: flow)
        let other = direction == .output ? flow.destination : flow.source
        return bypassed.hooks.contains(direction)
            && bypassed.scope.contains(port: flow.destination.port, remote: other.address) == true
    }

    /// The direction. What comes in and is for another address, as a virtual machine in the pod sends it, is outbound.
    func hook(of flow: TrackedFlow) -> Bypass.Hook {
        isOwn(flow.source) || !isOwn(flow.destination) ? .output : .prerouting
    }

    func isOwn(_ end: Endpoint) -> Bool { end.address.isLoopback || own.contains(end.address) }

    /// Whether another program's rule, and not a mesh's, has changed the destination.
    private func isOthers(_ flow: TrackedFlow) -> Bool {
        nat.others.contains { other in
            other.destination == other.target && other.target == flow.destination.address
                && flow.responder.address == other.target && flow.responder.port == other.targetPort
        }
    }
}
