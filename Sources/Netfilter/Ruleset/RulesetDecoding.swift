internal import CLibmnl
internal import CLibnftnl
internal import Glibc

/// The kernel's messages as values. Whatever a message lacks or has too much of, nothing here can fail: a rule that is
/// not understood is one that does nothing to us.
extension NetlinkMessage {
    var table: Ruleset.Table? {
        guard type == MessageType.newTable, let family else { return nil }
        var table = Ruleset.Table(family: family, name: "", use: 0)
        for attribute in attributes {
            switch attribute.type {
            case CInt(NFTA_TABLE_NAME.rawValue):
                table.name = attribute.string
                table.nameBytes = attribute.text
            case CInt(NFTA_TABLE_FLAGS.rawValue):
                let flags = attribute.uint32 ?? 0
                table.isDormant = flags & NFT_TABLE_F_DORMANT.rawValue != 0
                table.hasOwner = flags & NFT_TABLE_F_OWNER.rawValue != 0
            case CInt(NFTA_TABLE_USE.rawValue): table.use = attribute.uint32 ?? 0
            default: break
            }
        }
        return table
    }

    var chain: Ruleset.Chain? {
        guard type == MessageType.newChain, let family else { return nil }
        var chain = Ruleset.Chain(name: ChainName(family, "", ""), base: nil, use: 0)
        var type = ""
        var place: (hook: Hook, priority: Int32)?
        for attribute in attributes {
            switch attribute.type {
            case CInt(NFTA_CHAIN_TABLE.rawValue): chain.name.table = attribute.string
            case CInt(NFTA_CHAIN_NAME.rawValue):
                chain.name.chain = attribute.string
                chain.nameBytes = attribute.text
            case CInt(NFTA_CHAIN_USE.rawValue): chain.use = attribute.uint32 ?? 0
            case CInt(NFTA_CHAIN_TYPE.rawValue): type = attribute.string
            case CInt(NFTA_CHAIN_HOOK.rawValue): place = attribute.place
            default: break
            }
        }
        // The hooks of the netdev and bridge families have numbers of their own; no sidecar redirects there.
        if let place, family == .ip || family == .ip6 || family == .inet {
            chain.base = BaseChain(type: type, hook: place.hook, priority: place.priority)
        }
        return chain
    }

    /// Packets and bytes of a rule's counter, as `rule` would have them; nil if this is not a rule.
    var counted: (packets: UInt64, bytes: UInt64)? {
        guard type == MessageType.newRule, family != nil else { return nil }
        for attribute in attributes where attribute.type == CInt(NFTA_RULE_EXPRESSIONS.rawValue) {
            for element in attribute.nested {
                if case .counter(let packets, let bytes) = element.counterOrOther { return (packets, bytes) }
            }
        }
        return (0, 0)
    }

    var rule: Ruleset.Rule? {
        guard type == MessageType.newRule, let family else { return nil }
        var rule = Ruleset.Rule(chain: ChainName(family, "", ""), handle: 0, expressions: [])
        for attribute in attributes {
            switch attribute.type {
            case CInt(NFTA_RULE_TABLE.rawValue): rule.chain.table = attribute.string
            case CInt(NFTA_RULE_CHAIN.rawValue): rule.chain.chain = attribute.string
            case CInt(NFTA_RULE_HANDLE.rawValue): rule.handle = attribute.uint64 ?? 0
            case CInt(NFTA_RULE_EXPRESSIONS.rawValue):
                for element in attribute.nested { rule.expressions.append(element.expression) }
            default: break
            }
        }
        return rule
    }
}

extension Attribute {
    fileprivate var place: (hook: Hook, priority: Int32)? {
        var hook: Hook?
        var priority: Int32 = 0
        for attribute in nested {
            switch attribute.type {
            case CInt(NFTA_HOOK_HOOKNUM.rawValue): hook = attribute.uint32.flatMap(Hook.init)
            case CInt(NFTA_HOOK_PRIORITY.rawValue): priority = Int32(bitPattern: attribute.uint32 ?? 0)
            default: break
            }
        }
        return hook.map { ($0, priority) }
    }

    /// Of an element of NFTA_RULE_EXPRESSIONS: its name decides how its data is read.
    var expression: Ruleset.Expression {
        var name: Attribute?
        var data: Attribute?
        for attribute in nested {
            switch attribute.type {
            case CInt(NFTA_EXPR_NAME.rawValue): name = attribute
            case CInt(NFTA_EXPR_DATA.rawValue): data = attribute
            default: break
            }
        }
        if let name, name.isString("notrack") { return .untracks }
        guard let name, let data else { return .other }
        if name.isString("cmp") { return data.comparison }
        if name.isString("counter") { return data.counter }
        if name.isString("meta") { return data.meta }
        if name.isString("immediate") { return data.immediate }
        if name.isString("match") { return data.match }
        if name.isString("target") { return data.target }
        if name.isString("nat") { return data.nat }
        if name.isString("redir") { return .destinationNat(nil) }
        if name.isString("tproxy") { return .transparentProxy }
        if name.isString("payload") { return data.payload }
        if name.isString("ct") { return data.connectionTracking }
        if name.isString("lookup") { return data.lookup }
        return .other
    }

    /// Of an element of NFTA_RULE_EXPRESSIONS: its counter, or other.
    fileprivate var counterOrOther: Ruleset.Expression {
        guard first(NFTA_EXPR_NAME.rawValue)?.isString("counter") == true else { return .other }
        return first(NFTA_EXPR_DATA.rawValue)?.counter ?? .other
    }

    private var counter: Ruleset.Expression {
        .counter(
            packets: first(NFTA_COUNTER_PACKETS.rawValue)?.uint64 ?? 0,
            bytes: first(NFTA_COUNTER_BYTES.rawValue)?.uint64 ?? 0)
    }

    private var immediate: Ruleset.Expression {
        guard let verdict = first(NFTA_IMMEDIATE_DATA.rawValue)?.first(NFTA_DATA_VERDICT.rawValue) else {
            return .loads(.constant)
        }
        switch verdict.first(NFTA_VERDICT_CODE.rawValue)?.uint32.map(Int32.init(bitPattern:)) {
        case NFT_RETURN.rawValue: return .returnVerdict
        case NF_ACCEPT: return .acceptVerdict
        case NFT_JUMP.rawValue, NFT_GOTO.rawValue:
            return .jump(to: verdict.first(NFTA_VERDICT_CHAIN.rawValue)?.string ?? "")
        default: return .other
        }
    }

    private var match: Ruleset.Expression {
        guard first(NFTA_MATCH_REV.rawValue)?.uint32 == 1, let name = first(NFTA_MATCH_NAME.rawValue),
            let information = first(NFTA_MATCH_INFO.rawValue)?.bytes
        else { return .other }
        if name.isString("addrtype") {
            return information.elementsEqual(RuleExpression.addressTypeInformation) ? .addressTypeIsLocal : .other
        }
        // mode, then the path behind two numbers (struct xt_bpf_info_v1); the path ends with a NUL.
        guard name.isString("bpf"), unsafe information.count >= MemoryLayout<xt_bpf_info_v1>.size,
            information[0] == UInt8(XT_BPF_MODE_FD_PINNED.rawValue), information[1] == 0
        else { return .other }
        let path = information[8..<520].prefix { $0 != 0 }  // XT_BPF_PATH_MAX is 512
        return .matchBPF(pin: String(decoding: path, as: UTF8.self))
    }

    private var target: Ruleset.Expression {
        guard let name = first(NFTA_TARGET_NAME.rawValue) else { return .other }
        if name.isString("REDIRECT") || name.isString("DNAT") { return .destinationNat(nil) }
        if name.isString("TPROXY") { return .transparentProxy }
        let revision = UInt8(truncatingIfNeeded: first(NFTA_TARGET_REV.rawValue)?.uint32 ?? 0)
        let information = first(NFTA_TARGET_INFO.rawValue)?.bytes ?? []
        if Untracking.isDone(by: name.string, information) { return .untracks }
        return MarkTarget.write(name.string, revision: revision, information).map { .marks($0) } ?? .other
    }

    private var comparison: Ruleset.Expression {
        .comparison(isEqual: first(NFTA_CMP_OP.rawValue)?.uint32 == NFT_CMP_EQ.rawValue)
    }

    private var meta: Ruleset.Expression {
        let key = first(NFTA_META_KEY.rawValue)?.uint32
        if first(NFTA_META_SREG.rawValue) != nil { return key == NFT_META_MARK.rawValue ? .sets(.packet) : .other }
        switch key {
        case NFT_META_IIF.rawValue, NFT_META_IIFNAME.rawValue, NFT_META_OIF.rawValue, NFT_META_OIFNAME.rawValue:
            return .loads(.interface)
        case NFT_META_MARK.rawValue: return .loads(.mark(.packet))
        case NFT_META_L4PROTO.rawValue: return .loads(.transport)
        default: return .other
        }
    }

    private var payload: Ruleset.Expression {
        guard first(NFTA_PAYLOAD_SREG.rawValue) != nil,
            first(NFTA_PAYLOAD_BASE.rawValue)?.uint32 == NFT_PAYLOAD_NETWORK_HEADER.rawValue,
            first(NFTA_PAYLOAD_LEN.rawValue)?.uint32 == 1
        else { return .other }
        let offset = first(NFTA_PAYLOAD_OFFSET.rawValue)?.uint32
        return [Family.ip, .ip6].first { $0.transportOffset == offset }.map { .setsTransport($0) } ?? .other
    }

    private var connectionTracking: Ruleset.Expression {
        guard first(NFTA_CT_KEY.rawValue)?.uint32 == NFT_CT_MARK.rawValue else { return .other }
        return first(NFTA_CT_SREG.rawValue) != nil ? .sets(.connection) : .loads(.mark(.connection))
    }

    /// Of a comparison of an interface: whether it is compared with `lo`, by name or by number, which is always 1.
    var isLoopback: Bool {
        let value = first(NFTA_EXPR_DATA.rawValue)?.first(NFTA_CMP_DATA.rawValue)?.first(NFTA_DATA_VALUE.rawValue)
        guard let bytes = value?.bytes else { return false }
        // A name may be padded with zeros; a shorter one stands for all that begin with it.
        if bytes.count >= 3, bytes.prefix(3).elementsEqual([0x6c, 0x6f, 0]) { return true }
        return bytes == RuleExpression.hostOrder(1)
    }

    private var nat: Ruleset.Expression {
        guard first(NFTA_NAT_TYPE.rawValue)?.uint32 == NFT_NAT_DNAT.rawValue else { return .other }
        let family = first(NFTA_NAT_FAMILY.rawValue)?.uint32
        return .destinationNat(family.flatMap { Family(rawValue: UInt8(truncatingIfNeeded: $0)) })
    }

    private var lookup: Ruleset.Expression {
        first(NFTA_LOOKUP_DREG.rawValue)?.uint32 == NFT_REG_VERDICT.rawValue ? .verdictMap : .other
    }

    func first(_ type: UInt32) -> Attribute? {
        for attribute in nested where attribute.type == CInt(type) { return attribute }
        return nil
    }
}
