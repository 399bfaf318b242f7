internal import CLibnftnl
internal import Glibc

/// What extensions of x_tables are given.
extension RuleExpression {
    static let localAddressType: UInt32 = 2

    /// struct xt_addrtype_info_v1 of linux/netfilter/xt_addrtype.h: types of source and destination, as bits; flags.
    static let addressTypeInformation: [UInt8] = {
        let types: [UInt16] = [0, 1 << UInt16(localAddressType), 0, 0]
        return unsafe types.withUnsafeBytes { unsafe Array($0) }
    }()

    static func block(_ bytes: [UInt8]) -> UnsafeMutableRawPointer {
        guard let block = unsafe malloc(bytes.count) else { fatalError("out of memory") }
        unsafe UnsafeMutableRawBufferPointer(start: block, count: bytes.count).copyBytes(from: bytes)
        return unsafe block
    }

    /// struct xt_bpf_info_v1 of linux/netfilter/xt_bpf.h, in a block of malloc's.
    static func matchInformation(_ pin: String) -> UnsafeMutableRawPointer {
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

extension Family {
    /// Of `protocol` in struct iphdr, of `nexthdr` in struct ipv6hdr.
    var transportOffset: UInt32 { self == .ip6 ? 6 : 9 }
}
