internal import CLibmnl
internal import CLibnftnl
internal import Glibc

/// The messages of one receive, read in place.
@safe
struct NetlinkMessages {
    private var rest: UnsafeRawBufferPointer

    init(_ bytes: UnsafeRawBufferPointer) {
        unsafe rest = bytes
    }

    /// Whether all of it was messages, as far as it has been read.
    var isAtEnd: Bool { unsafe rest.isEmpty }

    mutating func next() -> NetlinkMessage? {
        guard let base = unsafe rest.baseAddress, unsafe rest.count >= MemoryLayout<nlmsghdr>.size else { return nil }
        let header = unsafe base.assumingMemoryBound(to: nlmsghdr.self)
        guard unsafe mnl_nlmsg_ok(header, CInt(clamping: rest.count)) else { return nil }
        let length = Int(unsafe header.pointee.nlmsg_len)
        // libmnl compares as int: 2 GiB and more would pass for less than nothing.
        guard unsafe length <= rest.count else { return nil }
        let message = unsafe NetlinkMessage(
            header: header.pointee,
            payload: UnsafeRawBufferPointer(rebasing: rest[MemoryLayout<nlmsghdr>.size..<length]))
        unsafe rest = UnsafeRawBufferPointer(rebasing: rest[min((length + 3) & ~3, rest.count)...])
        return message
    }
}

/// One netlink message, valid as long as the receive buffer is.
@safe
struct NetlinkMessage {
    private let header: nlmsghdr
    private let payload: UnsafeRawBufferPointer

    init(header: nlmsghdr, payload: UnsafeRawBufferPointer) {
        self.header = header
        unsafe self.payload = payload
    }

    /// Bytes of all of it.
    var size: Int { Int(header.nlmsg_len) }
    var sequence: UInt32 { header.nlmsg_seq }
    /// Subsystem and message, as `MessageType` has them, or one of netlink's own.
    var type: UInt16 { header.nlmsg_type }
    var isLastOfDump: Bool { header.nlmsg_type == UInt16(NLMSG_DONE) }
    /// Of the end of a dump: 0, or the number of the error that it has ended with. nil for every other message.
    var endOfDump: CInt? {
        guard isLastOfDump else { return nil }
        return unsafe payload.count >= MemoryLayout<CInt>.size ? 0 &- payload.loadUnaligned(as: CInt.self) : 0
    }
    /// What is dumped changed meanwhile: what was read does not fit together.
    var isInterruptedDump: Bool { header.nlmsg_flags & UInt16(NLM_F_DUMP_INTR) != 0 }

    /// The part after the nfnetlink header (struct nfgenmsg).
    var attributes: Attributes { attributes(after: MemoryLayout<nfgenmsg>.size) }

    /// The attributes that follow another subsystem's header.
    ///
    /// - Parameter size: the header's, padded to four bytes.
    func attributes(after size: Int) -> Attributes {
        unsafe Attributes(UnsafeRawBufferPointer(rebasing: payload.dropFirst(size)))
    }

    /// The part after netlink's own header.
    var bytes: UnsafeRawBufferPointer { unsafe payload }

    /// `nfgen_family` of the nfnetlink header.
    var family: Family? {
        unsafe payload.count >= MemoryLayout<nfgenmsg>.size ? Family(rawValue: payload[0]) : nil
    }

    /// Of an acknowledgement: 0 or the error number. nil for every other message.
    var acknowledgement: CInt? {
        guard header.nlmsg_type == UInt16(NLMSG_ERROR), unsafe payload.count >= MemoryLayout<nlmsgerr>.size else {
            return nil
        }
        // The least number has no opposite.
        return unsafe 0 &- payload.loadUnaligned(as: CInt.self)
    }

    /// The kernel's own word on an error (NLMSGERR_ATTR_MSG), behind our message that it repeats.
    var errorDetail: String? {
        guard header.nlmsg_flags & UInt16(NLM_F_ACK_TLVS) != 0, unsafe payload.count >= MemoryLayout<nlmsgerr>.size
        else {
            return nil
        }
        let repeated = unsafe payload.loadUnaligned(fromByteOffset: MemoryLayout<CInt>.size, as: nlmsghdr.self)
        let isCapped = header.nlmsg_flags & UInt16(NLM_F_CAPPED) != 0
        let length = isCapped ? MemoryLayout<nlmsghdr>.size : (Int(repeated.nlmsg_len) + 3) & ~3
        let rest = unsafe payload.dropFirst(MemoryLayout<CInt>.size + length)
        for attribute in unsafe Attributes(UnsafeRawBufferPointer(rebasing: rest))
        where attribute.type == CInt(NLMSGERR_ATTR_MSG.rawValue) {
            return attribute.string
        }
        return nil
    }

    /// Of `newGeneration`: the ruleset's generation.
    var generation: UInt32? {
        for attribute in attributes where attribute.type == CInt(NFTA_GEN_ID.rawValue) { return attribute.uint32 }
        return nil
    }
}

/// Message types of nfnetlink: the subsystem in the high byte.
enum MessageType {
    static let getTable = nftables(NFT_MSG_GETTABLE)
    static let newTable = nftables(NFT_MSG_NEWTABLE)
    static let deleteTable = nftables(NFT_MSG_DELTABLE)
    static let getChain = nftables(NFT_MSG_GETCHAIN)
    static let newChain = nftables(NFT_MSG_NEWCHAIN)
    static let deleteChain = nftables(NFT_MSG_DELCHAIN)
    static let getRule = nftables(NFT_MSG_GETRULE)
    static let newRule = nftables(NFT_MSG_NEWRULE)
    static let deleteRule = nftables(NFT_MSG_DELRULE)
    static let getSet = nftables(NFT_MSG_GETSET)
    static let newSet = nftables(NFT_MSG_NEWSET)
    static let getElements = nftables(NFT_MSG_GETSETELEM)
    static let getGeneration = nftables(NFT_MSG_GETGEN)
    static let newGeneration = nftables(NFT_MSG_NEWGEN)
    static let trace = nftables(NFT_MSG_TRACE)
    static let getConnection = conntrack(IPCTNL_MSG_CT_GET)
    static let newConnection = conntrack(IPCTNL_MSG_CT_NEW)
    static let deleteConnection = conntrack(IPCTNL_MSG_CT_DELETE)
    static let getConntrackStatistics = conntrack(IPCTNL_MSG_CT_GET_STATS)

    private static func nftables(_ message: nf_tables_msg_types) -> UInt16 {
        UInt16(NFNL_SUBSYS_NFTABLES) << 8 | UInt16(message.rawValue)
    }

    private static func conntrack(_ message: cntl_msg_types) -> UInt16 {
        UInt16(NFNL_SUBSYS_CTNETLINK) << 8 | UInt16(message.rawValue)
    }
}

/// Flags of a netlink request (NLM_F_* of linux/netlink.h).
struct MessageFlags: OptionSet {
    let rawValue: UInt16

    static let request = Self(rawValue: UInt16(NLM_F_REQUEST))
    static let acknowledge = Self(rawValue: UInt16(NLM_F_ACK))
    static let dump = Self(rawValue: UInt16(NLM_F_DUMP))
    static let create = Self(rawValue: UInt16(NLM_F_CREATE))
    /// Refused if it is there already.
    static let exclusive = Self(rawValue: UInt16(NLM_F_EXCL))
    /// At the end of the chain, not at its head.
    static let append = Self(rawValue: UInt16(NLM_F_APPEND))
    /// A created object is sent back as the kernel holds it, with its handle.
    static let echo = Self(rawValue: UInt16(NLM_F_ECHO))
}
