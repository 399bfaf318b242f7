/// The first packet of a connection, as far as it is known: what is not known is nil, and never taken for "no".
package struct Packet: Hashable, Sendable {
    /// An interface of the namespace.
    package struct Interface: Hashable, Sendable {
        package var name: String
        package var index: UInt32

        package init(name: String, index: UInt32) {
            self.name = name
            self.index = index
        }

        /// Always the first interface of a namespace.
        package static let loopback = Interface(name: "lo", index: 1)
    }

    /// The user and group of the socket that sends it; nil if they are not known.
    package struct Owner: Hashable, Sendable {
        package var uid: UInt32?
        package var gid: UInt32?

        package init(uid: UInt32?, gid: UInt32?) {
            self.uid = uid
            self.gid = gid
        }
    }

    /// `ip` or `ip6`.
    let family: Family
    /// IPPROTO_TCP or IPPROTO_UDP.
    let transport: UInt8
    /// The IP header, byte by byte.
    var network: [UInt8?]
    /// The transport header, byte by byte.
    var segment: [UInt8?]
    /// nil for a packet that no socket of the namespace has sent.
    let owner: Owner?
    /// The interfaces by which it may have come in; nil if any may be, empty if it came in by none.
    var input: [Interface]? = []
    /// The same for those by which it may go out.
    var output: [Interface]? = []
    var mark: UInt32? = 0
    var connectionMark: UInt32? = 0
    /// Whether conntrack has seen it.
    var isTracked: Bool? = false
    /// A rule has excepted it from conntrack: no rule of type nat is evaluated.
    var isExcepted: Bool? = false

    /// - Parameters:
    ///   - source: in network byte order, as long as `destination`; nil if it is not known.
    ///   - owner: nil if it comes from outside the namespace.
    package init(
        transport: UInt8, from source: [UInt8]?, to destination: [UInt8], port: UInt16, owner: Owner?
    ) {
        family = destination.count == 4 ? .ip : .ip6
        self.transport = transport
        self.owner = owner
        network = Array(repeating: nil, count: family == .ip ? 20 : 40)
        segment = Array(repeating: nil, count: 20)
        network[0] = family == .ip ? 0x45 : nil
        network[transportOffset] = transport
        let addresses = network.count - 2 * destination.count
        if let source { replace(&network, at: addresses, source) }
        replace(&network, at: addresses + destination.count, destination)
        replace(&segment, at: 2, [UInt8(port >> 8), UInt8(port & 0xff)])
        if transport == Self.tcp {
            segment[13] = 0x02  // SYN alone
            replace(&segment, at: 8, [0, 0, 0, 0])
        }
    }

    package static let tcp: UInt8 = 6
    package static let udp: UInt8 = 17

    /// `protocol` of struct iphdr, `nexthdr` of struct ipv6hdr.
    private var transportOffset: Int { family == .ip ? 9 : 6 }
    private var addressSize: Int { family == .ip ? 4 : 16 }

    /// The transport protocol that the IP header names.
    var namedTransport: UInt8? { network[transportOffset] }

    var source: ArraySlice<UInt8?> { network.suffix(2 * addressSize).dropLast(addressSize) }

    var destination: [UInt8?] {
        get { Array(network.suffix(addressSize)) }
        set { network.replaceSubrange((network.count - addressSize)..., with: newValue) }
    }

    var sourcePort: UInt16? {
        get { port(at: 0) }
        set { setPort(newValue, at: 0) }
    }

    var destinationPort: UInt16? {
        get { port(at: 2) }
        set { setPort(newValue, at: 2) }
    }

    private mutating func setPort(_ port: UInt16?, at offset: Int) {
        segment[offset] = port.map { UInt8($0 >> 8) }
        segment[offset + 1] = port.map { UInt8($0 & 0xff) }
    }

    private func port(at offset: Int) -> UInt16? {
        guard let high = segment[offset], let low = segment[offset + 1] else { return nil }
        return UInt16(high) << 8 | UInt16(low)
    }

    private func replace(_ header: inout [UInt8?], at offset: Int, _ bytes: [UInt8]) {
        for (index, byte) in bytes.enumerated() { header[offset + index] = byte }
    }
}

/// The state besides the packet that a rule's conditions depend on.
package struct PacketContext: Hashable, Sendable {
    /// All addresses of the namespace, in network byte order; nil if they are not known.
    package var addresses: Set<[UInt8]>?
    /// All interfaces but the loopback; nil if they are not known.
    package var interfaces: [Packet.Interface]?
    /// The pin of the matcher, and whether it matches; nil if that is not known.
    package var matcher: (pin: String, matches: Bool?) {
        get { (pin, matches) }
        set { (pin, matches) = newValue }
    }
    private var pin: String
    private var matches: Bool?
    /// The routing rules, where they matter; none of a family whose rules are not known.
    package var routing: [Family: RoutingPolicy] = [:]

    package init(
        addresses: Set<[UInt8]>?, interfaces: [Packet.Interface]?, matcher: (pin: String, matches: Bool?)
    ) {
        self.addresses = addresses
        self.interfaces = interfaces
        (pin, matches) = matcher
    }

    /// Whether a packet to the address ends in the namespace; nil if that is not known.
    package func isLocal(_ address: [UInt8?]) -> Bool? {
        let known = address.compactMap(\.self)
        guard known.count == address.count else { return nil }
        if known.count == 4 ? known[0] == 127 : known == Self.loopback6 { return true }
        return addresses?.contains(known)
    }

    static let loopback6 = [UInt8](repeating: 0, count: 15) + [1]
}
