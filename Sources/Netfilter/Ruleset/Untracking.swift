/// A rule at PREROUTING that has conntrack ignore packets: `notrack`, or `-j CT --notrack`.
package struct Untracking: Hashable, Sendable {
    package var chain: ChainName
    package var backend: Redirect.Backend
    /// Its place in the chain, from 1.
    package var number: Int
    /// By which nf_tables knows the rule; nil in iptables-legacy, whose rules have no handles.
    package var handle: UInt64?
    /// The transport protocol that it is for; nil if that is not known.
    private var transport: UInt8?

    /// So many are kept of a table.
    fileprivate static let maxCount = 16

    init(_ chain: ChainName, _ backend: Redirect.Backend, number: Int, handle: UInt64? = nil, transport: UInt8?) {
        (self.chain, self.backend, self.number, self.handle) = (chain, backend, number, handle)
        self.transport = transport
    }

    package var isForTCP: Bool { transport == nil || transport == NatRule.tcp }
    package var isForUDP: Bool { transport == nil || transport == TrackedFlow.Transport.udp.rawValue }

    /// Whether conntrack is asked after a chain of that place (NF_IP_PRI_CONNTRACK).
    static func isPossible(in base: BaseChain?) -> Bool {
        base.map { $0.hook == .prerouting && $0.priority < -200 } ?? false
    }

    /// Whether a target of x_tables does it.
    static func isDone(by target: String, _ information: some Collection<UInt8>) -> Bool {
        switch target {
        case "NOTRACK": true
        // XT_CT_NOTRACK in the flags of struct xt_ct_target_info (linux/netfilter/xt_CT.h), two bytes in the machine's order: no
        // other flag is 1 or 256.
        case "CT": information.prefix(2).contains { $0 & 1 != 0 }
        default: false
        }
    }
}

extension [Untracking] {
    /// Adds a rule of the same table. The last one that is kept stands for all that are not.
    mutating func add(_ rule: Untracking) {
        if count < Untracking.maxCount { append(rule) } else { self[count - 1].widen() }
    }
}

extension Untracking {
    fileprivate mutating func widen() { transport = nil }
}

extension LegacyTable {
    /// Those that packets from outside reach; nil if a jump leads to no entry.
    func untracking() -> [Untracking]? {
        guard let start = chains.start[.prerouting] else { return [] }
        var reached: Set<Int> = []
        func isWanted(_ offset: Int, _ target: Target) -> Bool { if case .untracks = target { true } else { false } }
        guard walk(from: start, where: isWanted, visit: { reached.insert($0) }) != nil else { return nil }
        var found: [Untracking] = []
        var (chain, number) = ("", 0)
        for offset in offsets where !reached.isEmpty {
            if let hook = chains.start.first(where: { $0.value == offset })?.key { (chain, number) = (hook.chain, 0) }
            if case .error = target(of: offset) {
                (chain, number) = (headName(of: offset) ?? "", 0)
                continue
            }
            number += 1
            guard reached.contains(offset) else { continue }
            let name = ChainName(version.family, name, chain)
            found.add(Untracking(name, .legacy, number: number, transport: natRule(of: offset).transport))
        }
        return found
    }
}
