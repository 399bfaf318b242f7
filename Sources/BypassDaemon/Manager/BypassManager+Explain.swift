internal import Bypass
internal import BypassAPI
internal import BypassPolicy
internal import Datapath
internal import Linux
internal import Netfilter

extension BypassManager {
    /// The way of first packets through a namespace. Changes nothing.
    func explain(
        _ netns: String, _ request: ExplainRequest, by peer: Peer, _ after: inout AfterAnswer
    ) throws(BypassError) -> ExplainMethod.Result {
        let turn = try executor.turn(in: .named(netns, uid: peer.credentials.uid), as: principal(of: peer))
        defer { turn.end() }
        do throws(BypassError) {
            _ = try authorizer.authorize(.explain, in: turn.resolved, netns: netns, by: peer)
        } catch {
            let record = AuditRecord(peer: peer, method: ExplainMethod.name, netns: netns)
            transition.complete(record.failing(with: error), &after)
            throw error
        }
        let rules = try turn.rules()
        let packets = request.packets(in: rules.context)
        let ways = rules.ways(of: packets, in: turn.namespace)
        var warnings = rules.warnings
        let further = ways.reduce(0) { $0 + $1.path.further }
        if further > 0 { warnings.append(.furtherSteps(further)) }
        return ExplainMethod.Result(
            netns: netns, inode: turn.namespace.inode,
            probes: zip(packets, ways).map { ExplainMethod.Probe($0, $1, rules.context) },
            warnings: warnings.map(BypassStatus.Warning.init))
    }
}

extension NamespaceRules {
    /// Of what may decide about a packet, and could not be read.
    var warnings: [Bypass.Warning] {
        // As many as there can be tables of iptables-legacy, and more.
        unreadable.prefix(16).map { .unreadable(rules: $0.rules.printable(upTo: 128), reason: $0.reason) }
    }
}

extension ExplainMethod.Probe {
    fileprivate init(_ packet: FirstPacket, _ way: NamespaceRules.Way, _ context: PacketContext) {
        let isIPv4 = packet.to.bytes.count == 4
        let isInbound = packet.origin == .outside && context.isLocal(packet.to.bytes) == true
        self.init(
            direction: isInbound ? .inbound : .outbound, family: isIPv4 ? "ip" : "ip6",
            protocol: packet.isTCP ? .tcp : .udp,
            to: Endpoint(packet.to, packet.port).description,
            from: packet.from?.description, source: way.isTraced ? .trace : .rules,
            steps: way.path.steps.map(ExplainMethod.Step.init),
            ends: ExplainMethod.End(way))
    }
}

extension ExplainMethod.Step {
    /// Names come from the namespace: they are cut and escaped, as in a sentence.
    init(_ step: PacketPath.Step) {
        let number = step.rule.map { "rule \($0.number)" + ($0.handle.map { ", handle \($0)" } ?? "") }
        self.init(
            hook: step.hook.name, priority: step.priority,
            family: step.chain.family.name + (step.backend == .legacy ? " (iptables-legacy)" : ""),
            table: step.chain.table.printable(upTo: 128), chain: step.chain.chain.printable(upTo: 128), rule: number,
            verdict: step.verdict.printable(upTo: 192), decides: step.decides)
    }
}

extension ExplainMethod.End {
    init(_ way: NamespaceRules.Way) {
        switch way.path.end {
        case .application(let port): self.init(at: .application, port: Int(port))
        case .sidecar(let port): self.init(at: .sidecar, port: Int(port))
        case .dropped: self.init(at: .dropped)
        case .unknown: self.init(at: .unknown)
        }
        switch way.receiver {
        case nil: break
        case .nothing: isListening = false
        case .socket(let holder):
            isListening = true
            // Its name is the process's own to choose.
            process = holder.map { "\($0.name.printable(upTo: 64))[\($0.pid)]" }
        }
    }
}
