internal import ArgumentParser
internal import BypassAPI

/// The connections that a bypass is for, as `on` and `policy explain` take them.
struct ScopeOptions: ParsableArguments {
    @Option(
        name: .customLong("port"),
        help: .init(
            "Bypass only connections to these ports: 8080, 9000-9100 or a list with commas. Repeatable.",
            valueName: "ports"))
    var onlyPorts: [String] = []

    @Option(
        name: .customLong("network"),
        help: .init(
            """
            Bypass only connections with these networks on the other side: 10.0.0.0/8,fd00::/8. Repeatable. With --port: \
            only connections that fit both.
            """, valueName: "networks"))
    var onlyNetworks: [String] = []

    @Option(
        help: .init("Do not bypass connections to these ports. Repeatable.", valueName: "ports"))
    var exceptPort: [String] = []

    @Option(
        help: .init(
            """
            Do not bypass connections with these networks on the other side. Repeatable. With --except-port: connections \
            that fit both.
            """, valueName: "networks"))
    var exceptNetwork: [String] = []

    var scope: Scope {
        get throws {
            Scope(
                only: try Self.connections("--port", onlyPorts, "--network", onlyNetworks),
                except: try Self.connections("--except-port", exceptPort, "--except-network", exceptNetwork))
        }
    }

    func validate() throws { _ = try scope }

    /// nil if there is no such option.
    private static func connections(
        _ portOption: String, _ ports: [String], _ networkOption: String, _ networks: [String]
    ) throws -> ConnectionSet? {
        if ports.isEmpty && networks.isEmpty { return nil }
        let ports = try list(portOption, ports) { (text) throws(PortRange.Malformed) in try PortRange(text) }
        let networks = try list(networkOption, networks) { (text) throws(IPNetwork.Malformed) in try IPNetwork(text) }
        do throws(ConnectionSet.Malformed) {
            return try ConnectionSet(ports: ports, networks: networks)
        } catch {
            switch error {
            case .empty: throw ValidationError("\(portOption) needs a port, and \(networkOption) a network")
            case .exceeds(let limit): throw ValidationError("at most \(Limits().allowance(limit))")
            }
        }
    }

    /// The elements of lists with commas.
    private static func list<Element, Malformed: Error & CustomStringConvertible>(
        _ option: String, _ lists: [String], _ read: (String) throws(Malformed) -> Element
    ) throws -> [Element] {
        try lists.flatMap { $0.split(separator: ",", omittingEmptySubsequences: false) }.map { text in
            do throws(Malformed) {
                return try read(String(text))
            } catch {
                throw ValidationError("\(option): '\(text)' \(error)")
            }
        }
    }
}
