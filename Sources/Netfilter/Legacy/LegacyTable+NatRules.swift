internal import Linux

extension LegacyTable {
    /// The rules of destination nat, with the chains that hold them.
    func natRules() -> [(rule: NatRule, chain: ChainName)] {
        var found: [(rule: NatRule, chain: ChainName)] = []
        var chain = ""
        for offset in offsets {
            if let hook = chains.start.first(where: { $0.value == offset })?.key { chain = hook.chain }
            switch target(of: offset) {
            case .error: chain = headName(of: offset) ?? ""
            case .redirect(.nat) where found.count <= Self.maxNatRules:
                // A bounded number is looked at: one more may be anything.
                let rule = found.count < Self.maxNatRules ? natRule(of: offset) : NatRule(anyIn: version.family)
                found.append((rule, ChainName(version.family, name, chain)))
            default: break
            }
        }
        return found
    }

    /// So many of them are looked at.
    private static let maxNatRules = 64

    /// The chains of destination nat, by a mesh or by another program.
    func natHooks(among hooks: [Hook]) -> Set<Hook> {
        Set(
            hooks.filter { hook in
                chains.start[hook].flatMap { sources(of: .nat, countingOthers: true, from: $0) }?.isEmpty == false
            })
    }

    func natRule(of offset: Int) -> NatRule {
        var rule = NatRule(version.family)
        let ip = version.addresses
        let invertedFlags = bytes(offset + version.inversionOffset, 1)[0]
        let transport: UInt16 = number(at: offset + ip.transport)
        // IPT_INV_PROTO and IPT_INV_DSTIP.
        if transport != 0, invertedFlags & 0x40 == 0 { rule.transport = UInt8(truncatingIfNeeded: transport) }
        let mask = bytes(offset + ip.destination + 2 * ip.size, ip.size)
        if mask.contains(where: { $0 != 0 }), invertedFlags & 0x10 == 0 {
            rule.network = NatRule.Network(value: bytes(offset + ip.destination, ip.size), mask: mask)
        }
        let end = offset + targetOffset(of: offset)
        var match = offset + version.entrySize
        // struct xt_entry_match: size, name, revision, then the match's own data.
        while match + 32 <= end {
            let size = Int(number(at: match) as UInt16)
            guard size >= 32, match + size <= end else { break }
            rule.readMatch(text(at: match + 2), bytes(match + 32, size - 32))
            match += size
        }
        let size = Int(number(at: end) as UInt16)
        guard size >= 32, end + size <= offset + self.size(of: offset) else { return rule }
        rule.readTarget(text(at: end + 2), revision: bytes(end + 31, 1)[0], bytes(end + 32, size - 32))
        return rule
    }
}
