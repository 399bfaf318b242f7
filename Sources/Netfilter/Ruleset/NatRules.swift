internal import CLibnftnl
package import Linux

/// What the rules that change destinations say about flows that are there already, and about other programs.
package struct NatRules: Hashable, Sendable {
    /// The ports for which rules redirect UDP.
    package private(set) var datagramPorts = PortSet()
    /// Destination nat that leads to no proxy, or perhaps to none; and how many more rules there are like these.
    package private(set) var others: [OtherNat] = []
    package private(set) var furtherOthers = 0

    static let maxOthers = 16

    package init() {}

    /// - Parameter hooks: from which the rule can be reached.
    mutating func add(_ rule: NatRule, in chain: ChainName, _ hooks: Set<Hook>) {
        guard let target = rule.target else { return }
        if let address = target.address, rule.isOthers || !address.isLoopback {
            insert(
                OtherNat(
                    chain: chain, hooks: hooks, transport: rule.transport, destination: rule.destination,
                    ports: rule.ports, target: address, targetPort: target.port))
        }
        if !rule.isOthers, rule.transport == nil || rule.transport == TrackedFlow.Transport.udp.rawValue {
            datagramPorts.insert(rule.ports ?? 0...UInt16.max)
        }
    }

    private mutating func insert(_ other: OtherNat) {
        if others.count < Self.maxOthers { others.append(other) } else { furtherOthers += 1 }
    }

    package mutating func merge(_ more: NatRules) {
        for ports in more.datagramPorts.ranges { datagramPorts.insert(ports) }
        for other in more.others { insert(other) }
        furtherOthers += more.furtherOthers
    }
}

/// Ports, as few ranges; everything once there are too many of those.
package struct PortSet: Hashable, Sendable {
    package private(set) var ranges: [ClosedRange<UInt16>] = []
    private static let maxRanges = 16

    package init() {}

    package var isEmpty: Bool { ranges.isEmpty }

    package func contains(_ port: UInt16) -> Bool { ranges.contains { $0.contains(port) } }

    package mutating func insert(_ new: ClosedRange<UInt16>) {
        if ranges.contains(where: { $0.contains(new.lowerBound) && $0.contains(new.upperBound) }) { return }
        ranges = ranges.count < Self.maxRanges ? ranges + [new] : [0...UInt16.max]
    }
}

/// A rule of destination nat that takes what it matches to an address of its own.
package struct OtherNat: Hashable, Sendable {
    package var chain: ChainName
    /// From which it can be reached.
    package var hooks: Set<Hook>
    /// IPPROTO_*; nil for any.
    package var transport: UInt8?
    /// The one address that it is for; nil for any, or several.
    package var destination: IPAddress?
    package var ports: ClosedRange<UInt16>?
    package var target: IPAddress
    package var targetPort: UInt16?
}

extension OtherNat: CustomStringConvertible {
    /// As iptables writes it, as far as it was read.
    package var description: String {
        var words: [String] = []
        if let destination { words.append("-d \(destination)") }
        if let transport {
            words.append("-p \(transport == 6 ? "tcp" : transport == 17 ? "udp" : String(transport))")
        }
        if let ports {
            let range = ports.count == 1 ? "\(ports.lowerBound)" : "\(ports.lowerBound):\(ports.upperBound)"
            words.append("--dport \(range)")
        }
        let isIPv6 = target.bytes.count == 16
        let port = targetPort.map { ":\($0)" } ?? ""
        let place = isIPv6 && !port.isEmpty ? "[\(target)]" : "\(target)"
        return (words + ["-j DNAT --to-destination \(place)\(port)"]).joined(separator: " ")
    }
}

/// The effect of one rule of a nat chain, as far as it could be read. What is nil was not there, or was not understood.
struct NatRule: Hashable {
    /// The target of destination nat: without an address for `redirect`.
    struct Target: Hashable {
        var address: IPAddress?
        var port: UInt16?
    }

    /// Of the table: `ip` and `ip6` for iptables' rules.
    let family: Family
    /// Addresses by their bits, in network byte order.
    struct Network: Hashable {
        var value: [UInt8]
        var mask: [UInt8]
    }

    /// IPPROTO_*.
    var transport: UInt8?
    static let tcp: UInt8 = 6
    /// Destination ports.
    var ports: ClosedRange<UInt16>?
    /// The destinations that the rule is for.
    var network: Network?
    /// nil for a rule without destination nat.
    var target: Target?

    init(_ family: Family) {
        self.family = family
    }

    /// The one address that the rule is for.
    var destination: IPAddress? {
        network.flatMap { $0.mask.allSatisfy { $0 == 255 } ? IPAddress(bytes: $0.value) : nil }
    }

    /// One of which nothing is known but that it redirects.
    init(anyIn family: Family) {
        self.family = family
        target = Target()
    }

    /// Whether this is certainly not a mesh's redirect: it is for one address, and that is where it leads, as Docker's rules
    /// for its name server at 127.0.0.11 do. What a mesh takes goes to the proxy, at another address or at 127.0.0.1.
    var isOthers: Bool {
        guard let destination, target?.address == destination else { return false }
        return destination != IPAddress("127.0.0.1") && destination != IPAddress("::1")
    }
}
