internal import Bypass
internal import BypassAPI
internal import Datapath
internal import Linux
internal import Netfilter

/// The request of a call of `explain`.
struct ExplainRequest {
    private var to: (address: IPAddress, port: UInt16)?
    private var from: IPAddress?
    private var transport: ExplainMethod.TransportProtocol?
    private var uid: UInt32

    init(_ parameters: ExplainMethod.Parameters) throws(BypassError) {
        if let text = parameters.to {
            guard let place = Self.place(text) else {
                throw .invalidParameter(
                    "to: \(text.asPartOfSentence) must be an address and a port, as 192.0.2.1:80 or [2001:db8::1]:80")
            }
            to = place
        }
        if let text = parameters.from {
            guard let address = IPAddress(text) else {
                throw .invalidParameter("from: \(text.asPartOfSentence) is not an IPv4 or IPv6 address")
            }
            from = address
        }
        if let to, let from, to.address.bytes.count != from.bytes.count {
            throw .invalidParameter("from: must be of the same family as to")
        }
        transport = parameters.protocol
        guard let number = UInt32(exactly: parameters.uid ?? 0) else {
            throw .invalidParameter("uid: must be \(UInt32.max) or less")
        }
        uid = number
    }

    /// `192.0.2.1:80`, `[2001:db8::1]:80`
    private static func place(_ text: String) -> (IPAddress, UInt16)? {
        guard let colon = text.lastIndex(of: ":"), case let digits = text[text.index(after: colon)...],
            digits.utf8.allSatisfy({ (0x30...0x39).contains($0) }), let port = UInt16(digits), port > 0
        else { return nil }
        var text = text[..<colon]
        let isBracketed = text.first == "[" && text.last == "]"
        if isBracketed { text = text.dropFirst().dropLast() }
        guard let address = IPAddress(String(text)), isBracketed == (address.bytes.count == 16) else { return nil }
        return (address, port)
    }

    /// Those that were asked for; without a destination, examples for each family that the namespace has an address of.
    func packets(in context: PacketContext) -> [FirstPacket] {
        let transports = transport.map { [$0] } ?? (to == nil ? [.tcp, .udp] : [.tcp])
        if let to { return transports.map { packet(to.address, to.port, $0, context) } }
        var packets: [FirstPacket] = []
        for example in Self.examples where from == nil || from?.bytes.count == example.bytes.count {
            let own = context.ownAddresses(like: example)
            let isFromOutside = from.map { context.isLocal($0.bytes) != true }
            if isFromOutside != true, !own.isEmpty {
                packets += transports.map { packet(example, Self.port(of: $0), $0, context) }
            }
            if isFromOutside != false, let address = own.first {
                let transport = transport ?? .tcp
                packets.append(packet(address, Self.port(of: transport), transport, context))
            }
        }
        return packets
    }

    /// For documentation (RFC 5737, RFC 3849): no route of a pod's leads to them but the default route.
    private static let examples = ["192.0.2.1", "2001:db8::1"].compactMap(IPAddress.init)

    /// HTTP, and what a mesh captures of UDP: DNS.
    private static func port(of transport: ExplainMethod.TransportProtocol) -> UInt16 { transport == .tcp ? 80 : 53 }

    private func packet(
        _ to: IPAddress, _ port: UInt16, _ transport: ExplainMethod.TransportProtocol, _ context: PacketContext
    ) -> FirstPacket {
        let isToOwn = context.isLocal(to.bytes) == true
        let isLocal = from.map { context.isLocal($0.bytes) == true } ?? (!isToOwn || to.isLoopback)
        var source = from
        if source == nil, isLocal {
            let own = context.ownAddresses(like: to)
            source = isToOwn ? to : own.count == 1 ? own.first : nil
        }
        return FirstPacket(
            to: to, port: port, from: source, isTCP: transport == .tcp, uid: uid, origin: isLocal ? .local : .outside)
    }
}

extension PacketContext {
    /// Those of the same family that others can reach: neither of the loopback nor of the link alone.
    fileprivate func ownAddresses(like example: IPAddress) -> [IPAddress] {
        let own = (addresses ?? []).compactMap(IPAddress.init(bytes:)).filter { address in
            let bytes = address.bytes
            let isLinkLocal = bytes.count == 16 && bytes[0] == 0xfe && bytes[1] & 0xc0 == 0x80
            return bytes.count == example.bytes.count && !address.isLoopback && !isLinkLocal
        }
        return own.sorted { $0.bytes.lexicographicallyPrecedes($1.bytes) }
    }
}
