internal import CLibnftnl
internal import Glibc

/// The expressions of nf_tables' rules as they are evaluated. What is not understood is `unknown`: it may do anything.
extension NetlinkMessage {
    /// Of `newRule`: its place and its parts.
    var filterRule: (chain: ChainName, rule: FilterRule)? {
        guard type == MessageType.newRule, let family else { return nil }
        var name = ChainName(family, "", "")
        var rule = FilterRule(handle: nil, parts: [])
        for attribute in attributes {
            switch attribute.type {
            case CInt(NFTA_RULE_TABLE.rawValue): name.table = attribute.string
            case CInt(NFTA_RULE_CHAIN.rawValue): name.chain = attribute.string
            case CInt(NFTA_RULE_HANDLE.rawValue): rule.handle = attribute.uint64
            case CInt(NFTA_RULE_EXPRESSIONS.rawValue): rule.parts = attribute.nested.map(\.rulePart)
            default: break
            }
        }
        return (name, rule)
    }

    /// Of `newChain`: whether a packet that reaches its end is accepted.
    var acceptsAtEnd: Bool {
        for attribute in attributes where attribute.type == CInt(NFTA_CHAIN_POLICY.rawValue) {
            return attribute.uint32 != UInt32(NF_DROP)
        }
        return true
    }
}

extension Attribute {
    /// Of an element of NFTA_RULE_EXPRESSIONS.
    fileprivate var rulePart: RulePart {
        let name = first(NFTA_EXPR_NAME.rawValue)?.string ?? ""
        return first(NFTA_EXPR_DATA.rawValue)?.part(named: name) ?? Self.part(withoutData: name) ?? .unknown(name)
    }

    /// Expressions that may come without attributes.
    private static func part(withoutData name: String) -> RulePart? {
        switch name {
        case "redir": .redirect(port: nil)
        case "notrack": .exceptFromConntrack
        case "masq": .verdict(.sourceNat)
        case "log", "counter": .nothing
        default: nil
        }
    }

    private func part(named name: String) -> RulePart? {
        switch name {
        case "counter", "log", "dynset", "objref", "last": .nothing
        case "limit", "quota", "connlimit": .openCondition
        case "queue", "synproxy", "fwd": .verdict(.unknown(name))
        case "payload": payload
        case "meta": meta
        case "ct": conntrack
        case "fib": fib
        case "cmp": compare
        case "range": range
        case "bitwise": bitwise
        case "lookup": lookUp
        case "immediate": constant
        case "nat": nat
        case "redir": .redirect(port: register(NFTA_REDIR_REG_PROTO_MIN.rawValue))
        case "tproxy": .transparentProxy(port: register(NFTA_TPROXY_REG_PORT.rawValue))
        case "masq": .verdict(.sourceNat)
        case "notrack": .exceptFromConntrack
        case "reject": .verdict(.drop)
        case "match", "target": extensionOfXtables(isTarget: name == "target")
        // They read something into a register, in an attribute of the same number each (NFTA_*_DREG), or look at it.
        case "socket", "rt", "exthdr", "xfrm", "tunnel", "numgen", "hash", "osf", "byteorder":
            unknownLoad(named: name)
        default: nil
        }
    }

    private func register(_ type: UInt32) -> Int? { first(type)?.uint32.flatMap(Registers.offset) }

    private func data(_ type: UInt32) -> [UInt8]? { first(type)?.first(NFTA_DATA_VALUE.rawValue)?.bytes }

    private func number(_ type: UInt32) -> Int? { first(type)?.uint32.map(Int.init) }

    private func unknownLoad(named name: String) -> RulePart? {
        let type =
            switch name {
            case "socket": NFTA_SOCKET_DREG.rawValue
            case "rt": NFTA_RT_DREG.rawValue
            case "xfrm": NFTA_XFRM_DREG.rawValue
            case "tunnel": NFTA_TUNNEL_DREG.rawValue
            case "byteorder": NFTA_BYTEORDER_DREG.rawValue
            case "hash": NFTA_HASH_DREG.rawValue
            case "exthdr": NFTA_EXTHDR_DREG.rawValue
            case "osf": NFTA_OSF_DREG.rawValue
            default: NFTA_NG_DREG.rawValue
            }
        return register(type).map { .loadUnknown(into: $0) }
    }

    private var payload: RulePart? {
        guard let base = first(NFTA_PAYLOAD_BASE.rawValue)?.uint32, let offset = number(NFTA_PAYLOAD_OFFSET.rawValue),
            let count = number(NFTA_PAYLOAD_LEN.rawValue), count <= 16
        else { return nil }
        let header: RulePart.Header? =
            switch base {
            case NFT_PAYLOAD_NETWORK_HEADER.rawValue: .network
            case NFT_PAYLOAD_TRANSPORT_HEADER.rawValue: .transport
            default: nil
            }
        if let target = register(NFTA_PAYLOAD_DREG.rawValue) {
            guard let header else { return .loadUnknown(into: target) }
            return .loadHeader(header, offset: offset, count: count, into: target)
        }
        guard let header, let source = register(NFTA_PAYLOAD_SREG.rawValue) else { return nil }
        return .writeHeader(header, offset: offset, count: count, from: source)
    }

    private var meta: RulePart? {
        guard let key = first(NFTA_META_KEY.rawValue)?.uint32 else { return nil }
        if let target = register(NFTA_META_DREG.rawValue) { return .loadMeta(key, into: target) }
        guard let source = register(NFTA_META_SREG.rawValue) else { return nil }
        return key == NFT_META_MARK.rawValue ? .setMark(from: source) : .nothing
    }

    private var conntrack: RulePart? {
        guard let key = first(NFTA_CT_KEY.rawValue)?.uint32 else { return nil }
        if let target = register(NFTA_CT_DREG.rawValue) { return .loadConntrack(key, into: target) }
        guard let source = register(NFTA_CT_SREG.rawValue) else { return nil }
        return key == NFT_CT_MARK.rawValue ? .setConnectionMark(from: source) : .nothing
    }

    private var fib: RulePart? {
        guard let target = register(NFTA_FIB_DREG.rawValue) else { return nil }
        let flags = first(NFTA_FIB_FLAGS.rawValue)?.uint32 ?? 0
        guard first(NFTA_FIB_RESULT.rawValue)?.uint32 == UInt32(NFT_FIB_RESULT_ADDRTYPE.rawValue),
            flags & NFTA_FIB_F_PRESENT.rawValue == 0
        else { return .loadUnknown(into: target) }
        return .loadAddressType(ofDestination: flags & NFTA_FIB_F_DADDR.rawValue != 0, into: target)
    }

    private var compare: RulePart? {
        guard let source = register(NFTA_CMP_SREG.rawValue),
            let comparison = first(NFTA_CMP_OP.rawValue)?.uint32.flatMap(RulePart.Comparison.init),
            let value = data(NFTA_CMP_DATA.rawValue)
        else { return nil }
        return .compare(source, comparison, value)
    }

    private var range: RulePart? {
        guard let source = register(NFTA_RANGE_SREG.rawValue), let from = data(NFTA_RANGE_FROM_DATA.rawValue),
            let to = data(NFTA_RANGE_TO_DATA.rawValue), from.count == to.count
        else { return nil }
        let inverted = first(NFTA_RANGE_OP.rawValue)?.uint32 == NFT_RANGE_NEQ.rawValue
        return .isInRange(source, from: from, to: to, inverted: inverted)
    }

    /// Its name in the kernel's headers is NFT_BITWISE_BOOL or NFT_BITWISE_MASK_XOR: Debian 12 has had both.
    static let maskAndXor: UInt32 = 0

    private var bitwise: RulePart? {
        guard let source = register(NFTA_BITWISE_SREG.rawValue), let target = register(NFTA_BITWISE_DREG.rawValue)
        else { return nil }
        let operation = first(NFTA_BITWISE_OP.rawValue)?.uint32 ?? Self.maskAndXor
        guard operation == Self.maskAndXor, let mask = data(NFTA_BITWISE_MASK.rawValue),
            let xor = data(NFTA_BITWISE_XOR.rawValue), mask.count == xor.count
        else { return .loadUnknown(into: target) }
        return .bitwise(from: source, into: target, mask: mask, xor: xor)
    }

    private var lookUp: RulePart? {
        guard let source = register(NFTA_LOOKUP_SREG.rawValue), let set = first(NFTA_LOOKUP_SET.rawValue)?.string else {
            return nil
        }
        let target = first(NFTA_LOOKUP_DREG.rawValue)?.uint32
        let flags = first(NFTA_LOOKUP_FLAGS.rawValue)?.uint32 ?? 0
        return .lookUp(
            set: set, source, into: target.flatMap(Registers.offset), isVerdict: target == NFT_REG_VERDICT.rawValue,
            inverted: flags & NFT_LOOKUP_F_INV.rawValue != 0)
    }

    private var constant: RulePart? {
        guard let data = first(NFTA_IMMEDIATE_DATA.rawValue) else { return nil }
        if let verdict = data.first(NFTA_DATA_VERDICT.rawValue) { return .verdict(verdict.verdict) }
        guard let target = register(NFTA_IMMEDIATE_DREG.rawValue), let value = data.first(NFTA_DATA_VALUE.rawValue)
        else { return nil }
        return .loadConstant(value.bytes, into: target)
    }

    /// Of NFTA_DATA_VERDICT.
    var verdict: Verdict {
        let chain = first(NFTA_VERDICT_CHAIN.rawValue)?.string ?? ""
        guard let code = first(NFTA_VERDICT_CODE.rawValue)?.uint32.map(Int32.init(bitPattern:)) else {
            return .unknown("a verdict")
        }
        switch code {
        case NFT_RETURN.rawValue: return .returnToCaller
        case NFT_JUMP.rawValue: return .jump(chain)
        case NFT_GOTO.rawValue: return .goto(chain)
        case NF_ACCEPT: return .accept
        case NF_DROP: return .drop
        default: return .unknown("a verdict \(code)")
        }
    }

    private var nat: RulePart? {
        guard let type = first(NFTA_NAT_TYPE.rawValue)?.uint32 else { return nil }
        if type == NFT_NAT_SNAT.rawValue { return .verdict(.sourceNat) }
        return .destinationNat(
            address: register(NFTA_NAT_REG_ADDR_MIN.rawValue), port: register(NFTA_NAT_REG_PROTO_MIN.rawValue))
    }

    private func extensionOfXtables(isTarget: Bool) -> RulePart? {
        // The attributes of both have the same numbers: name, revision, information.
        guard let name = first(NFTA_MATCH_NAME.rawValue)?.string, let revision = first(NFTA_MATCH_REV.rawValue)?.uint32,
            let information = first(NFTA_MATCH_INFO.rawValue)?.bytes
        else { return nil }
        return isTarget ? .target(name, revision: revision, information) : .match(name, revision: revision, information)
    }
}

extension NetlinkMessage {
    /// Adds the elements of NFT_MSG_NEWSETELEM to a set.
    ///
    /// - Returns: false if there are more than are kept.
    func addElements(to set: inout FilterSet) -> Bool {
        for list in attributes where list.type == CInt(NFTA_SET_ELEM_LIST_ELEMENTS.rawValue) {
            for item in list.nested {
                guard set.elements.count < FilterSet.maxElements else { return false }
                let flags = item.first(NFTA_SET_ELEM_FLAGS.rawValue)?.uint32 ?? 0
                let data = item.first(NFTA_SET_ELEM_DATA.rawValue)
                let element = FilterSet.Element(
                    key: item.first(NFTA_SET_ELEM_KEY.rawValue)?.first(NFTA_DATA_VALUE.rawValue)?.bytes ?? [],
                    isEnd: flags & NFT_SET_ELEM_INTERVAL_END.rawValue != 0,
                    data: data?.first(NFTA_DATA_VALUE.rawValue)?.bytes,
                    verdict: data?.first(NFTA_DATA_VERDICT.rawValue)?.verdict)
                if flags & NFT_SET_ELEM_CATCHALL.rawValue != 0 {
                    set.catchAll = element
                } else {
                    set.elements.append(element)
                }
            }
        }
        return true
    }

    /// Of NFT_MSG_NEWSET.
    var emptySet: FilterSet? {
        guard type == MessageType.newSet else { return nil }
        var set = FilterSet()
        for attribute in attributes where attribute.type == CInt(NFTA_SET_FLAGS.rawValue) {
            let flags = attribute.uint32 ?? 0
            set.isInterval = flags & NFT_SET_INTERVAL.rawValue != 0
            set.isConcatenation = flags & NFT_SET_CONCAT.rawValue != 0
        }
        return set
    }
}
