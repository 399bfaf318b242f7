package import Linux
package import Netfilter

/// The first packet of a connection, whose way is to be explained.
package struct FirstPacket: Hashable, Sendable {
    package var to: IPAddress
    package var port: UInt16
    /// nil if any address may send it.
    package var from: IPAddress?
    /// Or UDP.
    package var isTCP: Bool
    /// User and group of the process that sends it.
    package var uid: UInt32
    package var origin: PacketOrigin

    package init(to: IPAddress, port: UInt16, from: IPAddress?, isTCP: Bool, uid: UInt32, origin: PacketOrigin) {
        self.to = to
        self.port = port
        self.from = from
        self.isTCP = isTCP
        self.uid = uid
        self.origin = origin
    }

    var packet: Packet {
        Packet(
            transport: transport, from: from?.bytes, to: to.bytes, port: port,
            owner: origin == .local ? Packet.Owner(uid: uid, gid: uid) : nil)
    }

    var transport: UInt8 { isTCP ? Packet.tcp : Packet.udp }
    var family: Netfilter.Family { to.bytes.count == 4 ? .ip : .ip6 }
}
