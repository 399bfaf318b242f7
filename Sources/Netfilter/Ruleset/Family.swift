internal import CLibnftnl

/// The address family of a table, as nf_tables numbers it (NFPROTO_* of linux/netfilter.h).
package enum Family: UInt8, Hashable, Sendable, CaseIterable {
    case inet = 1
    case ip = 2
    case arp = 3
    case netdev = 5
    case bridge = 7
    case ip6 = 10

    /// As `nft` writes it.
    package var name: String {
        switch self {
        case .inet: "inet"
        case .ip: "ip"
        case .arp: "arp"
        case .netdev: "netdev"
        case .bridge: "bridge"
        case .ip6: "ip6"
        }
    }
}

/// Where in a packet's way a base chain stands (NF_INET_* of linux/netfilter.h).
package enum Hook: UInt32, Hashable, Sendable, CaseIterable {
    case prerouting = 0
    case input = 1
    case forward = 2
    case output = 3
    case postrouting = 4

    /// As `nft` writes it.
    package var name: String {
        switch self {
        case .prerouting: "prerouting"
        case .input: "input"
        case .forward: "forward"
        case .output: "output"
        case .postrouting: "postrouting"
        }
    }

    /// The built-in chain of iptables at this hook.
    package var chain: String {
        switch self {
        case .prerouting: "PREROUTING"
        case .input: "INPUT"
        case .forward: "FORWARD"
        case .output: "OUTPUT"
        case .postrouting: "POSTROUTING"
        }
    }
}

/// The hook and the priority of a base chain.
package struct BaseChain: Hashable, Sendable {
    /// `filter`, `nat` or `route`.
    package var type: String
    package var hook: Hook
    /// Lower is earlier.
    package var priority: Int32

    package init(type: String, hook: Hook, priority: Int32) {
        self.type = type
        self.hook = hook
        self.priority = priority
    }

    /// The priority of destination nat in PREROUTING and OUTPUT (NF_IP_PRI_NAT_DST), where iptables has its nat chains.
    package static let dstnat: Int32 = -100
    /// The priority of iptables' mangle chains (NF_IP_PRI_MANGLE).
    package static let mangle: Int32 = -150
}

/// A chain, named in full.
package struct ChainName: Hashable, Sendable, CustomStringConvertible {
    package var family: Family
    package var table: String
    package var chain: String

    package init(_ family: Family, _ table: String, _ chain: String) {
        self.family = family
        self.table = table
        self.chain = chain
    }

    package var description: String { "\(family.name) \(table) \(chain)" }
}
