@testable internal import Netfilter

/// Follows first packets through rules that were read from an input: it has to end, within its bounds.
enum Ways {
    static func follow(_ tables: [FilterTable]) {
        let context = PacketContext(addresses: [], interfaces: nil, matcher: (Decisions.pin, nil))
        for address in [[192, 0, 2, 1], [UInt8](repeating: 1, count: 16)] as [[UInt8]] {
            for (origin, owner) in [(PacketOrigin.local, Packet.Owner(uid: 0, gid: 0)), (.outside, nil)]
                as [(PacketOrigin, Packet.Owner?)]
            {
                let packet = Packet(transport: Packet.tcp, from: nil, to: address, port: 80, owner: owner)
                let path = PathEvaluation(tables, context, isComplete: true).path(of: packet, from: origin)
                precondition(path.steps.count <= PacketPath.maxSteps)
            }
        }
    }
}
