internal import Bypass
internal import BypassAPI

extension GrantReader {
    /// The connections that a bypass may be for.
    mutating func readScope() -> Scope {
        let scope = Scope(
            only: readConnections(.onlyPorts, .onlyNetworks), except: readConnections(.exceptPorts, .exceptNetworks))
        if let line = entryLine(.exceptPorts) ?? entryLine(.exceptNetworks), diagnostics.isEmpty, scope.isEmpty {
            diagnose(line, "\(Key.exceptPorts.rawValue), \(Key.exceptNetworks.rawValue): leave no connection to bypass")
        }
        return scope
    }

    /// nil if neither key is there, or if something is wrong with their values.
    private mutating func readConnections(_ portsKey: Key, _ networksKey: Key) -> ConnectionSet? {
        let (ports, networks) = (readPorts(portsKey), readNetworks(networksKey))
        if ports.isEmpty && networks.isEmpty { return nil }
        do throws(ConnectionSet.Malformed) {
            return try ConnectionSet(ports: ports, networks: networks)
        } catch {
            let key = error == .exceeds(.scopePorts) ? portsKey : networksKey
            diagnose(entryLine(key) ?? table.line, "\(key.rawValue): \(Self.words(for: error))")
            return nil
        }
    }

    private static func words(for error: ConnectionSet.Malformed) -> String {
        switch error {
        case .empty: "is empty"
        case .exceeds(let limit): "takes at most \(Limits().allowance(limit))"
        }
    }

    private mutating func readPorts(_ key: Key) -> [PortRange] {
        var ports: [PortRange] = []
        for element in elements(key, example: "9000-9100") ?? [] {
            do throws(PortRange.Malformed) {
                switch element.content {
                case .integer(let port): append(try PortRange(port), to: &ports, element.line, key)
                case .string(let text): append(try PortRange(text), to: &ports, element.line, key)
                case .boolean, .array:
                    diagnose(element.line, "\(key.rawValue): takes ports and ranges, not \(element.content.kind)")
                }
            } catch {
                let written = if case .string(let text) = element.content { text.excerpt + " " } else { "a port " }
                diagnose(element.line, "\(key.rawValue): \(written)\(error)")
            }
        }
        return ports
    }

    private mutating func readNetworks(_ key: Key) -> [IPNetwork] {
        var networks: [IPNetwork] = []
        for (text, line) in texts(key, example: "10.0.0.0/8") ?? [] {
            do throws(IPNetwork.Malformed) {
                append(try IPNetwork(text), to: &networks, line, key)
            } catch {
                diagnose(line, "\(key.rawValue): \(text.excerpt) \(error)")
            }
        }
        return networks
    }

    private mutating func append<Element: Hashable & CustomStringConvertible>(
        _ element: Element, to elements: inout [Element], _ line: Int, _ key: Key
    ) {
        if elements.contains(element) {
            diagnose(line, "\(key.rawValue): \(element) is listed twice")
        } else {
            elements.append(element)
        }
    }
}
