internal import BypassAPI
internal import CBypassABI

extension bypass_value {
    /// - Parameter scope: of a bypass; the members for it are zero.
    mutating func set(_ scope: Scope) {
        if let set = scope.only {
            self.scope |= UInt64(BYPASS_SCOPE_ONLY)
            only = bypass_set(set)
        }
        if let set = scope.except {
            self.scope |= UInt64(BYPASS_SCOPE_EXCEPT)
            except = bypass_set(set)
        }
        if let group = scope.cgroup {
            self.scope |= UInt64(BYPASS_SCOPE_CGROUP)
            cgroup = group
        }
    }
}

extension Scope {
    init(_ value: bypass_value) {
        self.init(
            only: value.scope & UInt64(BYPASS_SCOPE_ONLY) == 0 ? nil : ConnectionSet(value.only),
            except: value.scope & UInt64(BYPASS_SCOPE_EXCEPT) == 0 ? nil : ConnectionSet(value.except),
            cgroup: value.scope & UInt64(BYPASS_SCOPE_CGROUP) == 0 ? nil : value.cgroup)
    }
}

extension bypass_set {
    init(_ set: ConnectionSet) {
        self.init()
        port_count = UInt8(set.ports.count)
        network_count = UInt8(set.networks.count)
        ipv4_count = UInt8(set.networks.count { $0.address.isIPv4 })
        Self.fill(&ports, with: set.ports.map { bypass_ports(first: $0.first, last: $0.last) })
        Self.fill(&networks, with: set.networks.map { bypass_address(high: $0.address.high, low: $0.address.low) })
        Self.fill(&lengths, with: set.networks.map { UInt8($0.length) })
    }

    /// C's arrays are tuples here.
    private static func fill<Array, Element: BitwiseCopyable>(_ array: inout Array, with elements: [Element]) {
        unsafe withUnsafeMutableBytes(of: &array) { bytes in
            for (index, element) in elements.enumerated() {
                unsafe bytes.storeBytes(
                    of: element, toByteOffset: index * MemoryLayout<Element>.stride, as: Element.self)
            }
        }
    }
}

extension ConnectionSet {
    /// nil if it is not one that a daemon has written.
    init?(_ set: bypass_set) {
        let ports = Self.elements(set.ports, set.port_count, of: bypass_ports.self)
        let networks = Self.elements(set.networks, set.network_count, of: bypass_address.self)
        let lengths = Self.elements(set.lengths, set.network_count, of: UInt8.self)
        let ranges = ports.compactMap { try? PortRange(Int($0.first), to: Int($0.last)) }
        let found = zip(networks, lengths).enumerated().map { index, network in
            let address =
                index < set.ipv4_count
                ? InternetAddress(ipv4: UInt32(network.0.high >> 32))
                : InternetAddress(ipv6: network.0.high, network.0.low)
            return IPNetwork(containing: address, length: Int(network.1))
        }
        try? self.init(ports: ranges, networks: found)
    }

    private static func elements<Array, Element: BitwiseCopyable>(
        _ array: Array, _ count: UInt8, of type: Element.Type
    ) -> [Element] {
        unsafe withUnsafeBytes(of: array) { bytes in
            let stride = MemoryLayout<Element>.stride
            return (0..<min(Int(count), bytes.count / stride)).map {
                unsafe bytes.loadUnaligned(fromByteOffset: $0 * stride, as: type)
            }
        }
    }
}
