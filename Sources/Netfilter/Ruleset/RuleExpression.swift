internal import CLibnftnl
internal import Glibc

/// The expressions that the daemon's rules are made of.
package enum RuleExpression: Hashable, Sendable {
    /// `-m bpf --object-pinned PATH`, as iptables-nft 1.8 writes it.
    case matchBPF(pin: String)
    /// Only packets of this family pass (`meta nfproto`, in a table of family inet).
    case isFamily(Family)
    case counter
    case returnVerdict
    /// Nat to the address that the packet has already: the kernel then asks no further nat chain.
    case dnatToOwnAddress(Family)

    /// The number that iptables 1.8 happens to have in `fd`, and compares at `-C` and `-D`. The kernel does not look.
    static let iptablesDescriptor: CInt = 4

    func append(to rule: OpaquePointer) {
        switch self {
        case .matchBPF(let pin):
            unsafe Self.add("match", to: rule) { expression in
                unsafe nftnl_expr_set_str(expression, UInt16(NFTNL_EXPR_MT_NAME), "bpf")
                unsafe nftnl_expr_set_u32(expression, UInt16(NFTNL_EXPR_MT_REV), 1)
                // libnftnl takes the block over and frees it.
                unsafe nftnl_expr_set(
                    expression, UInt16(NFTNL_EXPR_MT_INFO), Self.matchInformation(pin),
                    UInt32(MemoryLayout<xt_bpf_info_v1>.size))
            }
        case .isFamily(let family):
            unsafe Self.add("meta", to: rule) { expression in
                unsafe nftnl_expr_set_u32(expression, UInt16(NFTNL_EXPR_META_KEY), NFT_META_NFPROTO.rawValue)
                unsafe nftnl_expr_set_u32(expression, UInt16(NFTNL_EXPR_META_DREG), NFT_REG_1.rawValue)
            }
            unsafe Self.add("cmp", to: rule) { expression in
                unsafe nftnl_expr_set_u32(expression, UInt16(NFTNL_EXPR_CMP_SREG), NFT_REG_1.rawValue)
                unsafe nftnl_expr_set_u32(expression, UInt16(NFTNL_EXPR_CMP_OP), NFT_CMP_EQ.rawValue)
                unsafe nftnl_expr_set_u8(expression, UInt16(NFTNL_EXPR_CMP_DATA), family.rawValue)
            }
        case .counter:
            unsafe Self.add("counter", to: rule) { expression in
                unsafe nftnl_expr_set_u64(expression, UInt16(NFTNL_EXPR_CTR_PACKETS), 0)
                unsafe nftnl_expr_set_u64(expression, UInt16(NFTNL_EXPR_CTR_BYTES), 0)
            }
        case .returnVerdict:
            unsafe Self.add("immediate", to: rule) { expression in
                unsafe nftnl_expr_set_u32(expression, UInt16(NFTNL_EXPR_IMM_DREG), NFT_REG_VERDICT.rawValue)
                unsafe nftnl_expr_set_u32(
                    expression, UInt16(NFTNL_EXPR_IMM_VERDICT), UInt32(bitPattern: NFT_RETURN.rawValue))
            }
        case .dnatToOwnAddress(let family):
            unsafe Self.add("payload", to: rule) { expression in
                let (offset, length): (UInt32, UInt32) = family == .ip ? (16, 4) : (24, 16)  // daddr in the IP header
                unsafe nftnl_expr_set_u32(expression, UInt16(NFTNL_EXPR_PAYLOAD_DREG), NFT_REG_1.rawValue)
                unsafe nftnl_expr_set_u32(
                    expression, UInt16(NFTNL_EXPR_PAYLOAD_BASE), NFT_PAYLOAD_NETWORK_HEADER.rawValue)
                unsafe nftnl_expr_set_u32(expression, UInt16(NFTNL_EXPR_PAYLOAD_OFFSET), offset)
                unsafe nftnl_expr_set_u32(expression, UInt16(NFTNL_EXPR_PAYLOAD_LEN), length)
            }
            unsafe Self.add("nat", to: rule) { expression in
                unsafe nftnl_expr_set_u32(expression, UInt16(NFTNL_EXPR_NAT_TYPE), NFT_NAT_DNAT.rawValue)
                unsafe nftnl_expr_set_u32(expression, UInt16(NFTNL_EXPR_NAT_FAMILY), UInt32(family.rawValue))
                unsafe nftnl_expr_set_u32(expression, UInt16(NFTNL_EXPR_NAT_REG_ADDR_MIN), NFT_REG_1.rawValue)
            }
        }
    }

    private static func add(_ name: String, to rule: OpaquePointer, _ fill: (OpaquePointer) -> Void) {
        guard let expression = unsafe nftnl_expr_alloc(name) else { fatalError("libnftnl knows no expression \(name)") }
        unsafe fill(expression)
        unsafe nftnl_rule_add_expr(rule, expression)
    }

    /// struct xt_bpf_info_v1 of linux/netfilter/xt_bpf.h, in a block of malloc's.
    private static func matchInformation(_ pin: String) -> UnsafeMutableRawPointer {
        guard let block = unsafe calloc(1, MemoryLayout<xt_bpf_info_v1>.size) else { fatalError("out of memory") }
        let information = unsafe block.assumingMemoryBound(to: xt_bpf_info_v1.self)
        unsafe information.pointee.mode = UInt16(XT_BPF_MODE_FD_PINNED.rawValue)
        unsafe information.pointee.fd = iptablesDescriptor
        unsafe withUnsafeMutableBytes(of: &information.pointee.path) { path in
            // The last byte stays NUL; the daemon refuses at its start a folder that does not fit.
            unsafe path.copyBytes(from: pin.utf8.prefix(path.count - 1))
        }
        return unsafe block
    }
}
