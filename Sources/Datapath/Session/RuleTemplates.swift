internal import Bypass
internal import Netfilter

/// The nf_tables operations of each action.
enum RuleTemplates {
    /// The guard's table; nothing in it is another program's.
    static let guardTable = (Netfilter.Family.inet, Guard.table)
    static let natTable = "nat"

    /// The rules of a namespace that are ours, or where only ours should be.
    static func interest(_ pin: String) -> Ruleset.Interest {
        Ruleset.Interest(
            pin: pin, table: guardTable,
            chains: natChains + Bypass.Hook.allCases.map(\.guardChain) + MaskChain.allCases.map(\.chainName))
    }
    /// The chains in which a rule of ours can stand.
    static let natChains = Bypass.Family.allCases.flatMap { family in
        Bypass.Hook.allCases.map { NATChain(family, $0).chainName }
    }

    /// What iptables-nft makes of `-m bpf --object-pinned PIN -j RETURN`, word for word; before that, for local traffic,
    /// of `-m addrtype --dst-type LOCAL`. For forwarded traffic there is none.
    static func iptablesRule(_ pin: String, _ traffic: Traffic) -> [RuleExpression] {
        (traffic == .all ? [] : [.addressTypeIsLocal]) + [.matchBPF(pin: pin), .counter, .returnVerdict]
    }

    /// The matcher says yes: nat to the address that the packet has, so that no later nat chain is asked.
    static func guardRule(_ pin: String, _ family: Bypass.Family, _ traffic: Traffic) -> [RuleExpression] {
        let condition: [RuleExpression] =
            switch traffic {
            case .all: []
            case .local: [.isForLocalAddress]
            case .forwarded: [.isForForeignAddress]
            }
        return [.isFamily(family.netfilter)] + condition
            + [.matchBPF(pin: pin), .counter, .dnatToOwnAddress(family.netfilter)]
    }

    /// For experiments (RFC 3692, IANA's protocol numbers): no rule of a mesh is for it.
    private static let maskedTransport: UInt8 = 253
    /// IPPROTO_TCP.
    private static let tcp: UInt8 = 6
    /// The protocols that TPROXY can take: IPPROTO_TCP and, with the next number that hosts still speak, IPPROTO_UDP.
    private static let transports: ClosedRange<UInt8> = tcp...17

    /// What the mask's chains are made of. The first packet of a connection from outside to this namespace passes the
    /// mesh's chain as one of a protocol that no rule is for; conntrack, which has seen the packet before, still knows its
    /// own. Established connections, the sidecar's over `lo` and forwarded ones stay as they are. UDP has no connections
    /// that a socket keeps: each of its packets is masked, so a flow moves at once and as a whole. What conntrack leaves
    /// untracked (`notrack`) is not masked: its protocol could not be restored.
    ///
    static func maskRules(_ pin: String, _ chain: MaskChain, _ mask: Mask) -> [[RuleExpression]] {
        let families = mask.families.map(\.netfilter)
        switch chain {
        case .mask where !mask.hidesDatagrams:
            // Of what conntrack does not know, nothing is new. The guard counts the same connections: without a counter here the
            // kernel need not report the rule.
            return families.map { family in
                [
                    .isFamily(family), .isTransport(tcp, family), .isNewConnection, .isNotFromLoopback,
                    .isForLocalAddress, .matchBPF(pin: pin), .setTransport(maskedTransport, family),
                ]
            }
        case .mask:
            return [
                [.isFromLoopback, .returnVerdict],
                [.carries(tcp), .isNotNewConnection, .returnVerdict],
                [.isUnknownToConntrack, .returnVerdict],
            ]
                + families.map { family in
                    [
                        .isFamily(family), .isTransportAmong(transports, family), .isForLocalAddress,
                        .matchBPF(pin: pin), .counter, .setTransport(maskedTransport, family),
                    ]
                }
        case .unmask:
            return families.map { family in
                [.isFamily(family), .isTransport(maskedTransport, family), .restoreTransport(family)]
            }
        }
    }

    static func operations(for action: Action, pin: String) -> [Transaction.Operation] {
        switch action {
        case .createTable(let family): return [.addTable(family.netfilter, natTable)]
        case .createChain(let natChain):
            let hook = natChain.hook.netfilter
            return [.addChain(natChain.chainName, BaseChain(type: "nat", hook: hook, priority: BaseChain.dstnat))]
        case .insertRule(let natChain, let traffic):
            return [.insertRule(natChain.chainName, iptablesRule(pin, traffic))]
        case .deleteRule(let natChain, let handle): return [.deleteRule(natChain.chainName, handle: handle)]
        case .deleteChain(let natChain): return [.deleteChain(natChain.chainName)]
        case .deleteTable(let family): return [.deleteTable(family.netfilter, natTable)]
        case .createGuardTable: return [.addTable(guardTable.0, guardTable.1)]
        case .createGuardChain(let hook, let families, let traffic):
            let base = BaseChain(type: "nat", hook: hook.netfilter, priority: Guard.priority)
            return [.addChain(hook.guardChain, base)]
                + families.map { .appendRule(hook.guardChain, guardRule(pin, $0, traffic)) }
        case .replaceGuardRules(let hook, let families, let traffic):
            return [.flushChain(hook.guardChain)]
                + families.map { .appendRule(hook.guardChain, guardRule(pin, $0, traffic)) }
        case .deleteGuardChain(let hook): return [.deleteChain(hook.guardChain)]
        case .createMask(let mask):
            return MaskChain.allCases.flatMap { chain in
                [.addChain(chain.chainName, chain.base)]
                    + maskRules(pin, chain, mask).map {
                        .appendRule(chain.chainName, $0, wantsHandle: $0.contains(.counter))
                    }
            }
        case .deleteMaskChain(let chain): return [.deleteChain(chain.chainName)]
        case .deleteGuardTable: return [.deleteTable(guardTable.0, guardTable.1)]
        case .setEntry, .removeEntry: return []
        }
    }
}

extension Bypass.Family {
    var netfilter: Netfilter.Family { self == .ip ? .ip : .ip6 }
}

extension Bypass.Hook {
    var netfilter: Netfilter.Hook { self == .output ? .output : .prerouting }

    var guardChain: ChainName { ChainName(RuleTemplates.guardTable.0, RuleTemplates.guardTable.1, chain) }
}

extension Mask {
    /// All that there are.
    static let all: [Mask] = [true, false].flatMap { hidesDatagrams in
        ([[.ip, .ip6], [.ip], [.ip6]] as [FamilySet]).map { Mask($0, hidesDatagrams: hidesDatagrams) }
    }
}

extension MaskChain {
    var chainName: ChainName {
        ChainName(RuleTemplates.guardTable.0, RuleTemplates.guardTable.1, name)
    }

    var base: BaseChain {
        BaseChain(type: "filter", hook: .prerouting, priority: Guard.maskedPriority + (self == .mask ? -1 : 1))
    }
}

extension NATChain {
    var chainName: ChainName { ChainName(family.netfilter, RuleTemplates.natTable, hook.netfilter.chain) }
}
