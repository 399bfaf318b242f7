internal import CLibmnl
internal import CLibnftnl
internal import Glibc

/// Room for the messages of one send, built in place by libmnl and libnftnl.
@safe
struct MessageBuffer: ~Copyable {
    let start: UnsafeMutableRawPointer
    private(set) var count = 0
    private let capacity: Int

    /// libmnl and libnftnl write without asking how much room is left: the largest message of ours (a rule with the
    /// bpf match) takes under 1 KiB, and each of two names in a message at most 256 bytes (NFT_NAME_MAXLEN).
    private let largestMessage: Int

    /// - Parameters:
    ///   - messages: how many will be appended at most.
    ///   - largest: bytes that one of them can take.
    init(messages: Int, largest: Int = 2048) {
        largestMessage = largest
        capacity = (messages + 1) * largest
        unsafe start = UnsafeMutableRawPointer.allocate(byteCount: capacity, alignment: 8)
    }

    /// - Parameter bytes: of the messages that will be appended, which are built already.
    init(bytes: Int) {
        largestMessage = 0
        capacity = bytes + Self.largestBatchFrame
        unsafe start = UnsafeMutableRawPointer.allocate(byteCount: capacity, alignment: 8)
    }

    /// The messages that open and close a batch.
    private static let largestBatchFrame = 64

    deinit {
        unsafe start.deallocate()
    }

    /// Appends a message with nfnetlink's header and what `body` puts behind it.
    mutating func append(
        _ type: UInt16, family: UInt8, flags: MessageFlags = [], sequence: UInt32,
        _ body: (OutgoingMessage) -> Void = { _ in }
    ) {
        precondition(count + largestMessage <= capacity, "more messages than announced")
        // Padding is part of what is sent.
        unsafe memset(start + count, 0, largestMessage)
        // libnftnl's own helper knows nf_tables' messages only; conntrack's have the same header.
        guard let header = unsafe mnl_nlmsg_put_header(start + count),
            let extra = unsafe mnl_nlmsg_put_extra_header(header, MemoryLayout<nfgenmsg>.size)
        else { fatalError("libmnl gave no header") }
        unsafe header.pointee.nlmsg_type = type
        unsafe header.pointee.nlmsg_flags = flags.union(.request).rawValue
        unsafe header.pointee.nlmsg_seq = sequence
        unsafe extra.storeBytes(
            of: nfgenmsg(nfgen_family: family, version: UInt8(NFNETLINK_V0), res_id: 0), as: nfgenmsg.self)
        body(unsafe OutgoingMessage(header: header))
        unsafe finish(header)
    }

    /// Appends a message that has no nfnetlink header: `payload` follows netlink's own.
    mutating func append(_ type: UInt16, flags: MessageFlags = [], sequence: UInt32, payload: [UInt8]) {
        precondition(count + MemoryLayout<nlmsghdr>.size + payload.count <= capacity, "more bytes than announced")
        guard let header = unsafe mnl_nlmsg_put_header(start + count) else { fatalError("libmnl gave no header") }
        unsafe header.pointee.nlmsg_type = type
        unsafe header.pointee.nlmsg_flags = flags.union(.request).rawValue
        unsafe header.pointee.nlmsg_seq = sequence
        unsafe payload.withUnsafeBytes {
            unsafe UnsafeMutableRawBufferPointer(
                start: start + count + MemoryLayout<nlmsghdr>.size, count: $0.count
            ).copyMemory(from: $0)
        }
        unsafe header.pointee.nlmsg_len += UInt32(payload.count)
        unsafe finish(header)
    }

    /// Appends a message that was built before.
    ///
    /// - Parameter handle: written over the message's last attribute, the handle of the rule to delete.
    mutating func append(_ message: [UInt8], flags: MessageFlags, sequence: UInt32, handle: UInt64?) {
        precondition(count + message.count <= capacity, "more bytes than announced")
        let place = unsafe start + count
        unsafe message.withUnsafeBytes {
            unsafe UnsafeMutableRawBufferPointer(start: place, count: $0.count).copyMemory(from: $0)
        }
        let header = unsafe place.assumingMemoryBound(to: nlmsghdr.self)
        unsafe header.pointee.nlmsg_flags |= flags.rawValue
        unsafe header.pointee.nlmsg_seq = sequence
        if let handle {
            let size = MemoryLayout<UInt64>.size
            unsafe place.storeBytes(of: handle.bigEndian, toByteOffset: message.count - size, as: UInt64.self)
        }
        count += message.count
    }

    /// Appends the message that opens a batch.
    ///
    /// - Parameter generation: refuse the batch with ERESTART unless the ruleset is still of this generation.
    mutating func appendBatchBegin(generation: UInt32?, sequence: UInt32) {
        guard let header = unsafe nftnl_batch_begin(next, sequence) else { fatalError("libnftnl gave no header") }
        if let generation {
            unsafe mnl_attr_put_u32(header, UInt16(NFNL_BATCH_GENID.rawValue), generation.bigEndian)
        }
        unsafe finish(header)
    }

    mutating func appendBatchEnd(sequence: UInt32) {
        guard let header = unsafe nftnl_batch_end(next, sequence) else { fatalError("libnftnl gave no header") }
        unsafe finish(header)
    }

    /// For tests that compare with what the kernel is to be sent.
    var bytes: [UInt8] { unsafe Array(UnsafeRawBufferPointer(start: start, count: count)) }

    private var next: UnsafeMutablePointer<CChar> {
        unsafe (start + count).assumingMemoryBound(to: CChar.self)
    }

    private mutating func finish(_ header: UnsafeMutablePointer<nlmsghdr>) {
        count += (Int(unsafe header.pointee.nlmsg_len) + 3) & ~3
    }
}

/// A message that is being built, behind its nfnetlink header.
@safe
struct OutgoingMessage {
    let header: UnsafeMutablePointer<nlmsghdr>

    init(header: UnsafeMutablePointer<nlmsghdr>) {
        unsafe self.header = header
    }

    func put(_ type: UInt32, _ text: String) {
        unsafe text.withCString { unsafe mnl_attr_put_strz(header, UInt16(type), $0) }
    }

    /// A name as the kernel gave it. There is room for the longest that it has; a longer one is nothing's name.
    func put(_ type: UInt32, _ name: [UInt8]) {
        unsafe name.prefix(Int(NFT_NAME_MAXLEN) - 1).withUnsafeBytes {
            unsafe mnl_attr_put(header, UInt16(type), $0.count, $0.baseAddress)
        }
    }

    /// Attributes in an attribute.
    func nest(_ type: UInt32, _ body: () -> Void) {
        guard let start = unsafe mnl_attr_nest_start(header, UInt16(type)) else { fatalError("libmnl gave no nest") }
        body()
        unsafe mnl_attr_nest_end(header, start)
    }

    func put(_ type: UInt32, bytes: [UInt8]) {
        unsafe bytes.withUnsafeBytes { unsafe mnl_attr_put(header, UInt16(type), $0.count, $0.baseAddress) }
    }

    func put(_ type: UInt32, _ number: UInt8) {
        unsafe mnl_attr_put_u8(header, UInt16(type), number)
    }

    /// Netfilter's integers are big-endian.
    func put(_ type: UInt32, _ number: UInt16) {
        unsafe mnl_attr_put_u16(header, UInt16(type), number.bigEndian)
    }

    func put(_ type: UInt32, _ number: UInt32) {
        unsafe mnl_attr_put_u32(header, UInt16(type), number.bigEndian)
    }

    func put(_ type: UInt32, _ number: UInt64) {
        unsafe mnl_attr_put_u64(header, UInt16(type), number.bigEndian)
    }
}
