internal import Glibc

extension Verdict {
    /// For people, in the words of `nft`.
    ///
    /// - Parameter packet: that the rule was evaluated for.
    func text(_ packet: Packet) -> String {
        switch self {
        case .accept: return "accept"
        case .drop: return "drop"
        case .returnToCaller: return "return"
        case .jump(let chain): return "jump \(chain)"
        case .goto(let chain): return "goto \(chain)"
        case .sourceNat: return "snat"
        case .transparentProxy(let port): return "tproxy to :\(port.map(String.init) ?? "?")"
        case .unknown(let what): return "unknown: \(what)"
        case .destinationNat(let address, let port, let isRedirect):
            if !isRedirect, port == nil || port == packet.destinationPort, address == packet.destination {
                return "dnat to the address that it has"
            }
            let place = address.map { Self.text(of: $0) } ?? ""
            return "\(isRedirect ? "redirect" : "dnat") to \(place)\(port.map { ":\($0)" } ?? "")"
        }
    }

    private static func text(of address: [UInt8?]) -> String {
        let bytes = address.compactMap(\.self)
        guard bytes.count == address.count else { return "one of several addresses" }
        var text = [CChar](repeating: 0, count: Int(INET6_ADDRSTRLEN))
        guard unsafe inet_ntop(bytes.count == 4 ? AF_INET : AF_INET6, bytes, &text, socklen_t(text.count)) != nil else {
            return "?"
        }
        let shown = String(decoding: text.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
        return bytes.count == 4 ? shown : "[\(shown)]"
    }
}

extension Verdict {
    /// What it means for the packet's way, from a rule that matches.
    var effect: PacketPath.Step.Effect {
        switch self {
        case .accept, .returnToCaller: .lets
        case .drop, .destinationNat, .transparentProxy: .takes
        case .jump, .goto, .sourceNat: .none
        case .unknown: .open
        }
    }
}
