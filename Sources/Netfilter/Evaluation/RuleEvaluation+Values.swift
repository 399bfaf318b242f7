internal import CLibnftnl

/// What rules read and set besides headers.
extension RuleEvaluation {
    /// false where the kernel ends the rule because there is nothing to read.
    mutating func loadMeta(_ key: UInt32, into target: Int) -> Bool? {
        switch nft_meta_keys(rawValue: key) {
        case NFT_META_MARK: write(packet.mark, at: target)
        case NFT_META_NFPROTO: registers.write([packet.family.rawValue], at: target)
        case NFT_META_L4PROTO: registers.write([packet.namedTransport], at: target)
        case NFT_META_PROTOCOL: registers.write(packet.family == .ip ? [0x08, 0x00] : [0x86, 0xdd], at: target)
        case NFT_META_IIFNAME: write(packet.input, at: target) { Self.padded($0.name) }
        case NFT_META_OIFNAME: write(packet.output, at: target) { Self.padded($0.name) }
        case NFT_META_IIF: write(packet.input, at: target) { Self.bytes($0.index) }
        case NFT_META_OIF: write(packet.output, at: target) { Self.bytes($0.index) }
        case NFT_META_SKUID, NFT_META_SKGID:
            guard let owner = packet.owner else { return false }
            write(key == NFT_META_SKUID.rawValue ? owner.uid : owner.gid, at: target)
        default: registers.writeUnknown(at: target)
        }
        return true
    }

    private mutating func write(
        _ interfaces: [Packet.Interface]?, at target: Int, _ bytes: (Packet.Interface) -> [UInt8]
    ) {
        guard let interfaces else { return registers.writeUnknown(at: target) }
        registers.write(
            oneOf: interfaces.isEmpty ? [bytes(.init(name: "", index: 0))] : interfaces.map(bytes), at: target)
    }

    private static func bytes(_ number: UInt32) -> [UInt8] { unsafe withUnsafeBytes(of: number) { unsafe Array($0) } }

    mutating func loadConntrack(_ key: UInt32, into target: Int) {
        switch nft_ct_keys(rawValue: key) {
        case NFT_CT_STATE: write(packet.connectionState, at: target)
        case NFT_CT_MARK: write(packet.connectionMark, at: target)
        case NFT_CT_DIRECTION: registers.write([0], at: target)
        case NFT_CT_PROTOCOL: registers.write([packet.transport], at: target)
        default: registers.writeUnknown(at: target)
        }
    }

    /// Whether the key is in the set; what a map holds for it is written to `target`.
    mutating func lookUp(
        _ name: String, _ source: Int, _ target: Int?, _ isVerdict: Bool, _ inverted: Bool
    ) -> Bool? {
        guard let set = sets[name] ?? nil else {
            if let target { registers.writeUnknown(at: target) }
            return nil
        }
        var values: Set<[UInt8]?> = []
        let isFound = registers.test(set.keySize, at: source) { key in
            do throws(FilterSet.NotKnown) {
                let element = try set.find(key)
                if let element { values.insert(element.data) }
                return element != nil
            } catch {
                return nil
            }
        }
        if let target {
            if isFound == true, values.count == 1, let value = values.first ?? nil {
                registers.write(value, at: target)
            } else {
                registers.writeUnknown(at: target)
            }
        }
        return isFound.map { $0 != inverted }
    }

    /// What targets of x_tables change that decide nothing.
    mutating func change(_ name: String, _ revision: UInt32, _ information: Information) {
        switch (name, revision) {
        case ("MARK", 2):
            packet.mark = isCertain ? packet.mark.map { $0 & ~information.host(4) ^ information.host(0) } : nil
        case ("MARK", _): packet.mark = nil
        case ("CONNMARK", 1): changeConnectionMark(information, mode: information.byte(12))
        // Its second revision can shift it.
        case ("CONNMARK", 2) where information.byte(13) == 0:
            changeConnectionMark(information, mode: information.byte(14))
        case ("CONNMARK", _): (packet.mark, packet.connectionMark) = (nil, nil)
        case ("TPROXY", _):
            // struct xt_tproxy_target_info: of the first revision, mark_mask and mark_value in this order.
            packet.mark = isCertain ? packet.mark.map { $0 & ~information.host(0) ^ information.host(4) } : nil
        case ("NOTRACK", _): packet.isExcepted = isCertain ? true : nil
        case ("CT", _) where information.short(0) & 1 != 0: packet.isExcepted = isCertain ? true : nil
        default: break
        }
    }

    /// struct xt_connmark_tginfo1 and 2: ctmark, ctmask, nfmask.
    private mutating func changeConnectionMark(_ information: Information, mode: UInt8) {
        let (mark, connectionMask, packetMask) = (information.host(0), information.host(4), information.host(8))
        guard isCertain else {
            (packet.mark, packet.connectionMark) = (nil, nil)
            return
        }
        switch mode {
        case 0: packet.connectionMark = packet.connectionMark.map { $0 & ~connectionMask ^ mark }
        case 1:
            packet.connectionMark = packet.connectionMark.flatMap { old in
                packet.mark.map { old & ~connectionMask ^ $0 & packetMask }
            }
        default:
            packet.mark = packet.mark.flatMap { old in
                packet.connectionMark.map { old & ~packetMask ^ $0 & connectionMask }
            }
        }
    }
}

extension FilterSet {
    /// Bytes of a key.
    var keySize: Int { elements.first?.key.count ?? 0 }
}

/// The decision of an x_tables target; nil if it only changes something.
func targetVerdict(_ name: String, revision: UInt32, _ information: Information, _ packet: Packet) -> Verdict? {
    switch name {
    case "REDIRECT", "DNAT": return destinationNat(name, revision, information, packet)
    case "TPROXY":
        let port = information.network(revision == 0 ? 12 : 24)
        return .transparentProxy(port: port == 0 ? packet.destinationPort : port)
    case "REJECT": return .drop
    case "SNAT", "MASQUERADE", "NETMAP": return name == "NETMAP" ? .unknown("target NETMAP") : .sourceNat
    case "MARK", "CONNMARK", "CT", "NOTRACK", "LOG", "NFLOG", "TCPMSS", "TTL", "HL", "DSCP", "TOS", "CLASSIFY", "TRACE",
        "CHECKSUM", "AUDIT", "SECMARK", "CONNSECMARK", "SET", "RATEEST", "LED", "IDLETIMER", "TCPOPTSTRIP", "TEE":
        return nil
    default: return .unknown("target \(name)")
    }
}

private func destinationNat(
    _ name: String, _ revision: UInt32, _ information: Information, _ packet: Packet
) -> Verdict {
    let size = packet.destination.count
    // struct nf_nat_ipv4_multi_range_compat: a number, flags, two addresses, two ports. struct nf_nat_range and its
    // second form: flags, two addresses of 16 bytes, two ports.
    let isCompact = size == 4 && revision == 0
    let flags = information.host(isCompact ? 4 : 0)
    let first = isCompact ? 8 : 4
    let port = information.network(isCompact ? 16 : 36)
    let lastPort = information.network(isCompact ? 18 : 38)
    let hasOneAddress = information.slice(first, size) == information.slice(first + (isCompact ? 4 : 16), size)
    let unknown = [UInt8?](repeating: nil, count: size)
    let isRedirect = name == "REDIRECT"
    let hasAddress = !isRedirect && flags & UInt32(NF_NAT_RANGE_MAP_IPS) != 0
    let hasPort = flags & UInt32(NF_NAT_RANGE_PROTO_SPECIFIED) != 0
    if hasPort && port != lastPort { return .unknown("destination nat to one of several ports") }
    return .destinationNat(
        address: hasAddress ? hasOneAddress ? information.slice(first, size) : unknown : nil,
        port: hasPort ? port : nil, isRedirect: isRedirect)
}
