public import StrictJSON

/// A set of connections: those to one of the ports that have one of the networks on their other side. On the wire
/// `{"ports":[8080,"9000-9100"],"networks":["10.0.0.0/8","fd00::/8"]}`.
public struct ConnectionSet: Hashable, Sendable {
    /// Sorted, each once. Empty: any port, or none, as of a protocol without ports.
    public let ports: [PortRange]
    /// Sorted, each once. Empty: any address.
    public let networks: [IPNetwork]

    /// As many as the matcher's map has room for.
    public static let maxPorts = 16
    public static let maxNetworks = 16

    public enum Malformed: Error, Hashable, Sendable {
        /// It names neither ports nor networks: it could stand for every connection or for none.
        case empty
        case exceeds(Limits.Name)
    }

    public init(ports: [PortRange] = [], networks: [IPNetwork] = []) throws(Malformed) {
        if let limit = Self.exceededLimit(ports: ports.count, networks: networks.count) { throw .exceeds(limit) }
        if ports.isEmpty && networks.isEmpty { throw .empty }
        self.ports = Set(ports).sorted()
        self.networks = Set(networks).sorted()
    }

    /// Every connection of both families.
    static let allAddresses = ConnectionSet(
        everyAddressOf: [InternetAddress(ipv4: 0), InternetAddress(ipv6: 0, 0)])

    private init(everyAddressOf families: [InternetAddress]) {
        ports = []
        networks = families.map { IPNetwork(containing: $0, length: 0) }
    }

    static func exceededLimit(ports: Int, networks: Int) -> Limits.Name? {
        if ports > maxPorts { return .scopePorts }
        return networks > maxNetworks ? .scopeNetworks : nil
    }

    /// - Parameters:
    ///   - port: the destination port that the client asked for; nil of a protocol without ports.
    ///   - remote: the address of the other side.
    public func contains(port: UInt16?, remote: InternetAddress) -> Bool {
        containsPort(port) && containsRemote(remote)
    }

    func containsPort(_ port: UInt16?) -> Bool {
        ports.isEmpty || port.map { port in ports.contains { $0.contains(port) } } ?? false
    }

    func containsRemote(_ remote: InternetAddress) -> Bool {
        networks.isEmpty || networks.contains { $0.contains(remote) }
    }
}

extension ConnectionSet: CustomStringConvertible {
    /// Such as `ports 8080, 9000-9100 in network 10.0.0.0/8`.
    public var description: String {
        func words(_ name: String, _ elements: [any CustomStringConvertible], isOne: Bool) -> String? {
            if elements.isEmpty { return nil }
            return name + (isOne ? " " : "s ") + elements.map(\.description).joined(separator: ", ")
        }
        let ports = words("port", ports, isOne: ports.count == 1 && ports[0].first == ports[0].last)
        let networks = words("network", networks, isOne: networks.count == 1)
        return [ports, networks].compactMap(\.self).joined(separator: " in ")
    }
}

extension ConnectionSet: Codable, JSONWritableObject {
    private enum CodingKeys: CodingKey {
        case ports, networks
    }

    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        func corrupted(_ path: [any CodingKey], _ reason: String) -> DecodingError {
            .dataCorrupted(.init(codingPath: decoder.codingPath + path, debugDescription: reason))
        }
        func elements<Element: Decodable>(_ key: CodingKeys) throws -> [Element] {
            guard let elements = try container.decodeIfPresent([Element].self, forKey: key) else { return [] }
            if elements.isEmpty { throw corrupted([key], "is empty: leave it out, or put something in") }
            return elements
        }
        let (ports, networks): ([PortRange], [IPNetwork]) = (try elements(.ports), try elements(.networks))
        do throws(Malformed) {
            self = try Self(ports: ports, networks: networks)
        } catch {
            switch error {
            case .empty: throw corrupted([], "must have ports or networks")
            case .exceeds(let limit): throw corrupted([], "has more than \(Limits().allowance(limit))")
            }
        }
    }

    /// Writes only the members that restrict it.
    public func writeMembers(to text: inout JSONText) {
        if !ports.isEmpty { text.member("ports", ports) }
        if !networks.isEmpty { text.member("networks", networks) }
    }
}

extension ConnectionSet: ParameterValue {
    /// Decoding it gives it, or the reason.
    public init?(parameter: JSONValue) { nil }

    public static func exceededLimit(by parameter: JSONValue) -> Limits.Name? {
        guard case .object(let members) = parameter else { return nil }
        return exceededLimit(
            ports: members["ports"]?.array?.count ?? 0, networks: members["networks"]?.array?.count ?? 0)
    }

    private static let definition = {
        var set = Schema.object(
            "connections: those to one of the ports that have one of the networks on their other side",
            [
                .init(
                    "ports",
                    .array(
                        of: PortRange.schema,
                        "destination ports that the client asked for, of TCP and UDP; every port if left out",
                        count: 1...maxPorts
                    ).orLeftOut, required: false),
                .init(
                    "networks",
                    .array(
                        of: IPNetwork.schema, "addresses of the other side; every address if left out",
                        count: 1...maxNetworks
                    ).orLeftOut, required: false),
            ])
        // An empty set could stand for every connection or for none.
        set.excluded = [Schema(properties: ["ports", "networks"].map { .init($0, .null, required: false) })]
        return set
    }()

    static func schema(_ description: String? = nil) -> Schema { .component("ConnectionSet", definition, description) }
}
