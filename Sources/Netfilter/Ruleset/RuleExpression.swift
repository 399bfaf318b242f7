internal import CLibnftnl
internal import Glibc
internal import Linux

/// The expressions that the daemon's rules are made of.
package enum RuleExpression: Hashable, Sendable {
    /// `-m bpf --object-pinned PATH`, as iptables-nft 1.8 writes it.
    case matchBPF(pin: String)
    /// `-m addrtype --dst-type LOCAL`, as iptables-nft 1.8 writes it.
    case addressTypeIsLocal
    /// Only packets of this family pass (`meta nfproto`, in a table of family inet).
    case isFamily(Family)
    case counter
    case returnVerdict
    /// Nat to the address that the packet has already: the kernel then asks no further nat chain.
    case dnatToOwnAddress(Family)
    /// The packet came in through `lo`.
    case isFromLoopback
    /// It came in through another interface (`iif != 1`, which `lo` is in every namespace).
    case isNotFromLoopback
    /// The packet begins a connection (`ct state new`).
    case isNewConnection
    /// The packet is for an address of this namespace (`fib daddr type local`).
    case isForLocalAddress
    /// The packet is for another address: it is forwarded.
    case isForForeignAddress
    /// The transport protocol that the IP header names, IPv6's only where it stands in the first header.
    case isTransport(UInt8, Family)
    /// The same for several protocols, by their numbers.
    case isTransportAmong(ClosedRange<UInt8>, Family)
    /// Its transport protocol, behind whatever headers of IPv6 (`meta l4proto`).
    case carries(UInt8)
    /// A segment of TCP that opens a connection (`tcp flags & (fin | syn | rst | ack) == syn`).
    case opensConnection
    /// Conntrack has not seen an earlier packet of the connection leave a hook (`ct status & confirmed == 0`).
    case isFirstOfConnection
    /// The packet belongs to a connection that has begun before, or to none (`ct state & new == 0`).
    case isNotNewConnection
    /// Conntrack knows nothing of the packet (`ct state invalid,untracked`).
    case isUnknownToConntrack
    /// Matches so often, and some more at once: `limit rate N/second burst N packets`.
    case limit(perSecond: UInt64, burst: UInt32)
    /// The packet comes from this port of TCP or UDP.
    case isFromPort(UInt16)
    /// The kernel reports to NFNLGRP_NFTRACE what becomes of the packet (`meta nftrace set 1`).
    case startTrace
    case dropVerdict
    /// Writes a transport protocol into the IP header, and leaves the header's checksum as it was.
    case setTransport(UInt8, Family)
    /// Writes the transport protocol that conntrack knows into the IP header, and leaves the checksum as it was.
    case restoreTransport(Family)

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
        case .addressTypeIsLocal:
            unsafe Self.add("match", to: rule) { expression in
                unsafe nftnl_expr_set_str(expression, UInt16(NFTNL_EXPR_MT_NAME), "addrtype")
                unsafe nftnl_expr_set_u32(expression, UInt16(NFTNL_EXPR_MT_REV), 1)
                // libnftnl takes the block over and frees it.
                unsafe nftnl_expr_set(
                    expression, UInt16(NFTNL_EXPR_MT_INFO), Self.block(Self.addressTypeInformation),
                    UInt32(Self.addressTypeInformation.count))
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
        case .returnVerdict: unsafe Self.decide(NFT_RETURN.rawValue, in: rule)
        case .dropVerdict: unsafe Self.decide(NF_DROP, in: rule)
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
        case .isFromLoopback:
            unsafe Self.add("meta", to: rule) { expression in
                unsafe nftnl_expr_set_u32(expression, UInt16(NFTNL_EXPR_META_KEY), NFT_META_IIFNAME.rawValue)
                unsafe nftnl_expr_set_u32(expression, UInt16(NFTNL_EXPR_META_DREG), NFT_REG_1.rawValue)
            }
            // A name fills its register (IFNAMSIZ).
            unsafe Self.compare(Array("lo".utf8) + Array(repeating: 0, count: 14), NFT_CMP_EQ, to: rule)
        case .isNotFromLoopback:
            unsafe Self.add("meta", to: rule) { expression in
                unsafe nftnl_expr_set_u32(expression, UInt16(NFTNL_EXPR_META_KEY), NFT_META_IIF.rawValue)
                unsafe nftnl_expr_set_u32(expression, UInt16(NFTNL_EXPR_META_DREG), NFT_REG_1.rawValue)
            }
            unsafe Self.compare(Self.hostOrder(1), NFT_CMP_NEQ, to: rule)
        // A state is one bit alone.
        case .isNewConnection:
            unsafe Self.load(NFT_CT_STATE, to: rule)
            unsafe Self.compare(Self.hostOrder(Self.new), NFT_CMP_EQ, to: rule)
        case .isNotNewConnection: unsafe Self.compareState(Self.new, NFT_CMP_EQ, to: rule)
        case .isUnknownToConntrack: unsafe Self.compareState(Self.invalid | Self.untracked, NFT_CMP_NEQ, to: rule)
        case .isFirstOfConnection:
            unsafe Self.load(NFT_CT_STATUS, to: rule)
            unsafe Self.mask(Self.hostOrder(1 << 3), to: rule)  // IPS_CONFIRMED
            unsafe Self.compare(Self.hostOrder(0), NFT_CMP_EQ, to: rule)
        case .carries(let transport):
            unsafe Self.add("meta", to: rule) { expression in
                unsafe nftnl_expr_set_u32(expression, UInt16(NFTNL_EXPR_META_KEY), NFT_META_L4PROTO.rawValue)
                unsafe nftnl_expr_set_u32(expression, UInt16(NFTNL_EXPR_META_DREG), NFT_REG_1.rawValue)
            }
            unsafe Self.compare([transport], NFT_CMP_EQ, to: rule)
        case .opensConnection:
            unsafe Self.loadTransportHeader(offset: 13, length: 1, to: rule)
            unsafe Self.mask([0x17], to: rule)
            unsafe Self.compare([0x02], NFT_CMP_EQ, to: rule)
        case .limit(let rate, let burst):
            unsafe Self.add("limit", to: rule) { expression in
                unsafe nftnl_expr_set_u64(expression, UInt16(NFTNL_EXPR_LIMIT_RATE), rate)
                unsafe nftnl_expr_set_u64(expression, UInt16(NFTNL_EXPR_LIMIT_UNIT), 1)
                unsafe nftnl_expr_set_u32(expression, UInt16(NFTNL_EXPR_LIMIT_BURST), burst)
                unsafe nftnl_expr_set_u32(expression, UInt16(NFTNL_EXPR_LIMIT_TYPE), NFT_LIMIT_PKTS.rawValue)
                unsafe nftnl_expr_set_u32(expression, UInt16(NFTNL_EXPR_LIMIT_FLAGS), 0)
            }
        case .isForLocalAddress:
            #if FAULT_POINTS
                // A test has a kernel without nft_fib_inet: a match of this name is in none.
                if (try? systemCall("nft_fib_inet") { CInt(0) }) == nil {
                    unsafe Self.add("match", to: rule) { expression in
                        unsafe nftnl_expr_set_str(expression, UInt16(NFTNL_EXPR_MT_NAME), "missing")
                        unsafe nftnl_expr_set_u32(expression, UInt16(NFTNL_EXPR_MT_REV), 1)
                        unsafe nftnl_expr_set(expression, UInt16(NFTNL_EXPR_MT_INFO), Self.matchInformation(""), 8)
                    }
                }
            #endif
            unsafe Self.compareAddressType(NFT_CMP_EQ, to: rule)
        case .isForForeignAddress: unsafe Self.compareAddressType(NFT_CMP_NEQ, to: rule)
        case .isTransport(let number, let family):
            unsafe Self.loadTransport(family, to: rule)
            unsafe Self.compare([number], NFT_CMP_EQ, to: rule)
        case .isTransportAmong(let numbers, let family):
            unsafe Self.loadTransport(family, to: rule)
            unsafe Self.add("range", to: rule) { expression in
                unsafe nftnl_expr_set_u32(expression, UInt16(NFTNL_EXPR_RANGE_SREG), NFT_REG_1.rawValue)
                unsafe nftnl_expr_set_u32(expression, UInt16(NFTNL_EXPR_RANGE_OP), NFT_RANGE_EQ.rawValue)
                unsafe nftnl_expr_set(expression, UInt16(NFTNL_EXPR_RANGE_FROM_DATA), [numbers.lowerBound], 1)
                unsafe nftnl_expr_set(expression, UInt16(NFTNL_EXPR_RANGE_TO_DATA), [numbers.upperBound], 1)
            }
        case .isFromPort(let port):
            unsafe Self.loadTransportHeader(offset: 0, length: 2, to: rule)
            unsafe Self.compare([UInt8(port >> 8), UInt8(port & 0xff)], NFT_CMP_EQ, to: rule)
        case .startTrace:
            unsafe Self.add("immediate", to: rule) { expression in
                unsafe nftnl_expr_set_u32(expression, UInt16(NFTNL_EXPR_IMM_DREG), NFT_REG_1.rawValue)
                unsafe nftnl_expr_set(expression, UInt16(NFTNL_EXPR_IMM_DATA), [1] as [UInt8], 1)
            }
            unsafe Self.add("meta", to: rule) { expression in
                unsafe nftnl_expr_set_u32(expression, UInt16(NFTNL_EXPR_META_KEY), NFT_META_NFTRACE.rawValue)
                unsafe nftnl_expr_set_u32(expression, UInt16(NFTNL_EXPR_META_SREG), NFT_REG_1.rawValue)
            }
        case .setTransport(let number, let family):
            unsafe Self.add("immediate", to: rule) { expression in
                unsafe nftnl_expr_set_u32(expression, UInt16(NFTNL_EXPR_IMM_DREG), NFT_REG_1.rawValue)
                unsafe nftnl_expr_set(expression, UInt16(NFTNL_EXPR_IMM_DATA), [number], 1)
            }
            unsafe Self.writeTransport(family, to: rule)
        case .restoreTransport(let family):
            unsafe Self.load(NFT_CT_PROTOCOL, to: rule)
            unsafe Self.writeTransport(family, to: rule)
        }
    }

    private static func decide(_ verdict: Int32, in rule: OpaquePointer) {
        unsafe add("immediate", to: rule) { expression in
            unsafe nftnl_expr_set_u32(expression, UInt16(NFTNL_EXPR_IMM_DREG), NFT_REG_VERDICT.rawValue)
            unsafe nftnl_expr_set_u32(expression, UInt16(NFTNL_EXPR_IMM_VERDICT), UInt32(bitPattern: verdict))
        }
    }

    private static func load(_ key: nft_ct_keys, to rule: OpaquePointer) {
        unsafe add("ct", to: rule) { expression in
            unsafe nftnl_expr_set_u32(expression, UInt16(NFTNL_EXPR_CT_KEY), key.rawValue)
            unsafe nftnl_expr_set_u32(expression, UInt16(NFTNL_EXPR_CT_DREG), NFT_REG_1.rawValue)
        }
    }

    /// NF_CT_STATE_BIT(IP_CT_NEW), NF_CT_STATE_INVALID_BIT and NF_CT_STATE_UNTRACKED_BIT of
    /// linux/netfilter/nf_conntrack_common.h.
    private static let (new, invalid, untracked): (UInt32, UInt32, UInt32) = (1 << 3, 1 << 0, 1 << 6)

    /// Whether none of these bits is set in the connection's state, or one is.
    private static func compareState(_ bits: UInt32, _ operation: nft_cmp_ops, to rule: OpaquePointer) {
        unsafe load(NFT_CT_STATE, to: rule)
        unsafe mask(hostOrder(bits), to: rule)
        unsafe compare(hostOrder(0), operation, to: rule)
    }

    private static func loadTransportHeader(offset: UInt32, length: UInt32, to rule: OpaquePointer) {
        unsafe add("payload", to: rule) { expression in
            unsafe nftnl_expr_set_u32(expression, UInt16(NFTNL_EXPR_PAYLOAD_DREG), NFT_REG_1.rawValue)
            unsafe nftnl_expr_set_u32(
                expression, UInt16(NFTNL_EXPR_PAYLOAD_BASE), NFT_PAYLOAD_TRANSPORT_HEADER.rawValue)
            unsafe nftnl_expr_set_u32(expression, UInt16(NFTNL_EXPR_PAYLOAD_OFFSET), offset)
            unsafe nftnl_expr_set_u32(expression, UInt16(NFTNL_EXPR_PAYLOAD_LEN), length)
        }
    }

    /// Keeps these bits of what was loaded.
    private static func mask(_ bits: [UInt8], to rule: OpaquePointer) {
        let none = [UInt8](repeating: 0, count: bits.count)
        unsafe add("bitwise", to: rule) { expression in
            unsafe nftnl_expr_set_u32(expression, UInt16(NFTNL_EXPR_BITWISE_SREG), NFT_REG_1.rawValue)
            unsafe nftnl_expr_set_u32(expression, UInt16(NFTNL_EXPR_BITWISE_DREG), NFT_REG_1.rawValue)
            unsafe nftnl_expr_set_u32(expression, UInt16(NFTNL_EXPR_BITWISE_LEN), UInt32(bits.count))
            unsafe nftnl_expr_set(expression, UInt16(NFTNL_EXPR_BITWISE_MASK), bits, UInt32(bits.count))
            unsafe nftnl_expr_set(expression, UInt16(NFTNL_EXPR_BITWISE_XOR), none, UInt32(none.count))
        }
    }

    private static func compare(_ value: [UInt8], _ operation: nft_cmp_ops, to rule: OpaquePointer) {
        unsafe add("cmp", to: rule) { expression in
            unsafe nftnl_expr_set_u32(expression, UInt16(NFTNL_EXPR_CMP_SREG), NFT_REG_1.rawValue)
            unsafe nftnl_expr_set_u32(expression, UInt16(NFTNL_EXPR_CMP_OP), operation.rawValue)
            unsafe nftnl_expr_set(expression, UInt16(NFTNL_EXPR_CMP_DATA), value, UInt32(value.count))
        }
    }

    /// Whether the destination is an address of this namespace (RTN_LOCAL of linux/rtnetlink.h), or another one.
    private static func compareAddressType(_ operation: nft_cmp_ops, to rule: OpaquePointer) {
        unsafe add("fib", to: rule) { expression in
            unsafe nftnl_expr_set_u32(expression, UInt16(NFTNL_EXPR_FIB_FLAGS), UInt32(NFTA_FIB_F_DADDR.rawValue))
            unsafe nftnl_expr_set_u32(
                expression, UInt16(NFTNL_EXPR_FIB_RESULT), UInt32(NFT_FIB_RESULT_ADDRTYPE.rawValue))
            unsafe nftnl_expr_set_u32(expression, UInt16(NFTNL_EXPR_FIB_DREG), NFT_REG_1.rawValue)
        }
        unsafe compare(hostOrder(localAddressType), operation, to: rule)
    }

    private static func loadTransport(_ family: Family, to rule: OpaquePointer) {
        unsafe add("payload", to: rule) { expression in
            unsafe nftnl_expr_set_u32(expression, UInt16(NFTNL_EXPR_PAYLOAD_DREG), NFT_REG_1.rawValue)
            unsafe setTransportField(of: family, in: expression)
        }
    }

    private static func writeTransport(_ family: Family, to rule: OpaquePointer) {
        unsafe add("payload", to: rule) { expression in
            unsafe nftnl_expr_set_u32(expression, UInt16(NFTNL_EXPR_PAYLOAD_SREG), NFT_REG_1.rawValue)
            unsafe setTransportField(of: family, in: expression)
            unsafe nftnl_expr_set_u32(
                expression, UInt16(NFTNL_EXPR_PAYLOAD_CSUM_TYPE), NFT_PAYLOAD_CSUM_NONE.rawValue)
        }
    }

    private static func setTransportField(of family: Family, in expression: OpaquePointer) {
        unsafe nftnl_expr_set_u32(
            expression, UInt16(NFTNL_EXPR_PAYLOAD_BASE), NFT_PAYLOAD_NETWORK_HEADER.rawValue)
        unsafe nftnl_expr_set_u32(expression, UInt16(NFTNL_EXPR_PAYLOAD_OFFSET), family.transportOffset)
        unsafe nftnl_expr_set_u32(expression, UInt16(NFTNL_EXPR_PAYLOAD_LEN), 1)
    }

    /// Registers hold numbers in the machine's own byte order.
    static func hostOrder(_ number: UInt32) -> [UInt8] {
        unsafe withUnsafeBytes(of: number) { unsafe Array($0) }
    }

    private static func add(_ name: String, to rule: OpaquePointer, _ fill: (OpaquePointer) -> Void) {
        guard let expression = unsafe nftnl_expr_alloc(name) else { fatalError("libnftnl knows no expression \(name)") }
        unsafe fill(expression)
        unsafe nftnl_rule_add_expr(rule, expression)
    }
}
