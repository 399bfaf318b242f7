internal import CLibnftnl

/// The matches of x_tables, by name and revision, as linux/netfilter/xt_*.h lay them out.
///
/// - Returns: nil if it is not known whether the match matches.
func matches(
    _ name: String, revision: UInt32, _ bytes: [UInt8], _ packet: Packet, _ context: PacketContext
) -> Bool? {
    let information = Information(bytes)
    switch (name, revision) {
    case ("comment", _): return true
    case ("tcp", 0):
        guard packet.namedTransport == Packet.tcp, bytes.count >= 12 else {
            return packet.namedTransport.map { _ in false }
        }
        let inverted = information.byte(11)
        return all([
            inPorts(packet.sourcePort, information.ports(0), inverted: inverted & 1 != 0),
            inPorts(packet.destinationPort, information.ports(4), inverted: inverted & 2 != 0),
            // The first packet of a connection has SYN alone.
            (0x02 & information.byte(9) == information.byte(10)) != (inverted & 4 != 0),
            information.byte(8) == 0 ? true : nil,
        ])
    case ("udp", 0):
        guard packet.namedTransport == Packet.udp, bytes.count >= 9 else {
            return packet.namedTransport.map { _ in false }
        }
        let inverted = information.byte(8)
        return all([
            inPorts(packet.sourcePort, information.ports(0), inverted: inverted & 1 != 0),
            inPorts(packet.destinationPort, information.ports(4), inverted: inverted & 2 != 0),
        ])
    case ("multiport", 1): return multiport(packet, information)
    case ("owner", 1): return owner(packet, information)
    case ("mark", 1), ("connmark", 1):
        guard let mark = name == "mark" ? packet.mark : packet.connectionMark else { return nil }
        return (mark & information.host(4) == information.host(0)) != (information.byte(8) != 0)
    case ("addrtype", 0), ("addrtype", 1): return addressType(packet, information, revision, context)
    case ("conntrack", 1...3), ("state", 0): return state(packet, information, isPlain: name == "state")
    case ("bpf", 1):
        guard information.byte(0) == UInt8(XT_BPF_MODE_FD_PINNED.rawValue), information.byte(1) == 0,
            bytes.count >= 520
        else { return nil }
        let pin = String(decoding: bytes[8..<520].prefix { $0 != 0 }, as: UTF8.self)
        return pin == context.matcher.pin ? context.matcher.matches : nil
    default: return nil
    }
}

/// Whether all hold; nil if that depends on one that is not known.
func all(_ conditions: [Bool?]) -> Bool? {
    if conditions.contains(false) { return false }
    return conditions.contains(nil) ? nil : true
}

/// The block of a match or a target. What is behind its end is 0.
struct Information {
    let bytes: [UInt8]

    init(_ bytes: [UInt8]) {
        self.bytes = bytes
    }

    func byte(_ offset: Int) -> UInt8 { offset < bytes.count ? bytes[offset] : 0 }

    /// A number in the machine's own byte order.
    func host(_ offset: Int) -> UInt32 {
        let value = (0..<4).reduce(UInt32(0)) { $0 << 8 | UInt32(byte(offset + $1)) }
        return UInt32(bigEndian: value)
    }

    func short(_ offset: Int) -> UInt16 {
        UInt16(bigEndian: network(offset))
    }

    /// A number in network byte order.
    func network(_ offset: Int) -> UInt16 { UInt16(byte(offset)) << 8 | UInt16(byte(offset + 1)) }

    /// Two ports in the machine's own byte order.
    func ports(_ offset: Int) -> ClosedRange<UInt16>? {
        let (low, high) = (short(offset), short(offset + 2))
        return low <= high ? low...high : nil
    }

    func slice(_ offset: Int, _ count: Int) -> [UInt8] { (0..<count).map { byte(offset + $0) } }
}

private func inPorts(_ port: UInt16?, _ range: ClosedRange<UInt16>?, inverted: Bool) -> Bool? {
    guard let range else { return inverted }
    if range == 0...UInt16.max { return !inverted }
    return port.map { range.contains($0) != inverted }
}

private func multiport(_ packet: Packet, _ information: Information) -> Bool? {
    let count = min(Int(information.byte(1)), 15)
    func contains(_ port: UInt16?) -> Bool? {
        guard let port else { return nil }
        var index = 0
        while index < count {
            let low = information.short(2 + 2 * index)
            var high = low
            if information.byte(32 + index) != 0 {
                index += 1
                high = information.short(2 + 2 * index)
            }
            if low <= port && port <= high { return true }
            index += 1
        }
        return false
    }
    let (source, destination) = (contains(packet.sourcePort), contains(packet.destinationPort))
    let found: Bool? =
        switch information.byte(0) {
        case 0: source
        case 1: destination
        default: source == true || destination == true ? true : all([source, destination])
        }
    return found.map { $0 != (information.byte(47) != 0) }
}

/// xt_owner, for sockets of the packet's own namespace.
private func owner(_ packet: Packet, _ information: Information) -> Bool? {
    let (match, inverted) = (information.byte(16), information.byte(17))
    guard let owner = packet.owner else { return (match ^ inverted) == 0 }
    func holds(_ bit: UInt8, _ number: UInt32?, _ offset: Int) -> Bool? {
        guard match & bit != 0 else { return true }
        guard let number else { return nil }
        let isInRange = information.host(offset) <= number && number <= information.host(offset + 4)
        return isInRange != (inverted & bit != 0)
    }
    // Supplementary groups are not known.
    let group: Bool? = match & 8 != 0 && match & 2 != 0 ? nil : holds(2, owner.gid, 8)
    let socket = match & 4 == 0 || inverted & 4 == 0
    return all([socket, holds(1, owner.uid, 0), group])
}

private func addressType(
    _ packet: Packet, _ information: Information, _ revision: UInt32, _ context: PacketContext
) -> Bool? {
    let (sources, destinations) = (information.short(0), information.short(2))
    let flags = information.host(4)
    let invertsSource = flags & 1 != 0
    let invertsDestination = revision == 0 ? information.host(8) != 0 : flags & 2 != 0
    func holds(_ types: UInt16, _ address: [UInt8?], _ inverted: Bool) -> Bool? {
        if types == 0 { return true }
        return context.type(of: address).map { (types & 1 << $0 != 0) != inverted }
    }
    return all([
        holds(sources, Array(packet.source), invertsSource),
        holds(destinations, packet.destination, invertsDestination),
    ])
}

private func state(_ packet: Packet, _ information: Information, isPlain: Bool) -> Bool? {
    guard let state = packet.connectionState else { return nil }
    if isPlain { return information.host(0) & state != 0 }
    let (match, inverted) = (information.short(146), information.short(148))
    // XT_CONNTRACK_STATE alone; other conditions are not known.
    let holds = match & 1 == 0 ? true : (UInt32(information.short(150)) & state != 0) != (inverted & 1 != 0)
    return match & ~1 == 0 ? holds : holds ? nil : false
}

extension Packet {
    /// NF_CT_STATE_BIT of linux/netfilter/nf_conntrack_common.h, as `ct state` and xt_conntrack have it.
    var connectionState: UInt32? {
        guard let isTracked, let isExcepted else { return nil }
        return isExcepted ? 64 : isTracked ? 8 : 1
    }
}

extension PacketContext {
    /// RTN_* of linux/rtnetlink.h.
    func type(of address: [UInt8?]) -> UInt32? {
        guard let isLocal = isLocal(address) else { return nil }
        if isLocal { return 2 }
        if address.count == 4 {
            if address.allSatisfy({ $0 == 255 }) { return 3 }
            return (224...239).contains(address[0] ?? 0) ? 5 : 1
        }
        return address[0] == 255 ? 5 : 1
    }
}
