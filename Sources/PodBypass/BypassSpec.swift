package import BypassAPI

/// The label that users set on a pod.
package enum BypassLabel {
    package static let key = "kmesh.net/bypass"
    package static let enabled = "enabled"
    package static let selector = "\(key)=\(enabled)"
}

/// The annotations that users set on a pod, and the one that the controller writes.
package enum Annotations {
    package static let direction = "kmesh.net/bypass-direction"
    package static let ttl = "kmesh.net/bypass-ttl"
    package static let reason = "kmesh.net/bypass-reason"
    package static let ports = "kmesh.net/bypass-ports"
    package static let networks = "kmesh.net/bypass-networks"
    package static let connections = "kmesh.net/bypass-connections"
    /// Written by `kubectl bypass`: who has set the label, as the API server names them, and when. Everyone who may patch the
    /// pod can write something else: they are claims. The time decides only whether a TTL begins again, as another label would.
    package static let setBy = "kmesh.net/bypass-by"
    package static let setAt = "kmesh.net/bypass-since"
    /// All that say how the pod is to be bypassed.
    package static let options = [direction, ttl, reason, ports, networks, connections]
    /// Written by the controller: a ``BypassCondition``.
    package static let status = "kmesh.net/bypass-status"
}

/// The bypass that a pod's annotations ask for.
package struct BypassSpec: Hashable, Sendable {
    package var direction = Direction.both
    /// Seconds.
    package var ttl: Int?
    package var reason: String?
    /// The connections that it is for; nil: all.
    package var only: ConnectionSet?
    /// The treatment of open connections; nil: they are kept.
    package var connections: OpenConnections?

    /// An annotation has an invalid value; the message says which values are valid.
    package struct Malformed: Error, Hashable, Sendable {
        package var message: String
    }

    package init(
        direction: Direction = .both, ttl: Int? = nil, reason: String? = nil, only: ConnectionSet? = nil,
        connections: OpenConnections? = nil
    ) {
        self.direction = direction
        self.ttl = ttl
        self.reason = reason
        self.only = only
        self.connections = connections
    }

    package init(annotations: [String: String]) throws(Malformed) {
        if let text = annotations[Annotations.direction] {
            guard let direction = Direction(rawValue: text) else {
                throw Self.malformed(Annotations.direction, text, "it must be both, inbound or outbound")
            }
            self.direction = direction
        }
        if let text = annotations[Annotations.ttl] {
            do throws(TimeToLive.Malformed) {
                ttl = try TimeToLive(text).seconds
            } catch {
                throw Self.malformed(Annotations.ttl, text, error.description)
            }
        }
        reason = annotations[Annotations.reason]
        guard (reason?.utf8.count ?? 0) <= 256 else {
            throw Malformed(message: "annotation \(Annotations.reason) is longer than 256 bytes")
        }
        only = try Self.scope(annotations)
        if let text = annotations[Annotations.connections] {
            guard let connections = OpenConnections(rawValue: text) else {
                throw Self.malformed(Annotations.connections, text, "it must be keep or reset")
            }
            self.connections = connections
        }
    }

    private static func scope(_ annotations: [String: String]) throws(Malformed) -> ConnectionSet? {
        let ports = try list(Annotations.ports, annotations) { (text) throws(PortRange.Malformed) in
            try PortRange(text)
        }
        let networks = try list(Annotations.networks, annotations) { (text) throws(IPNetwork.Malformed) in
            try IPNetwork(text)
        }
        if ports.isEmpty && networks.isEmpty { return nil }
        do throws(ConnectionSet.Malformed) {
            return try ConnectionSet(ports: ports, networks: networks)
        } catch {
            switch error {
            case .exceeds(let limit):
                let annotation = limit == .scopePorts ? Annotations.ports : Annotations.networks
                throw Malformed(message: "annotation \(annotation) has more than \(Limits().allowance(limit))")
            case .empty: return nil
            }
        }
    }

    /// The elements of a list with commas; spaces around them are ignored.
    private static func list<Element, Failure: Error & CustomStringConvertible>(
        _ annotation: String, _ annotations: [String: String], _ read: (String) throws(Failure) -> Element
    ) throws(Malformed) -> [Element] {
        guard let text = annotations[annotation] else { return [] }
        var elements: [Element] = []
        for part in text.split(separator: ",", omittingEmptySubsequences: false) {
            let part = String(part.drop { $0 == " " }.reversed().drop { $0 == " " }.reversed())
            do throws(Failure) {
                elements.append(try read(part))
            } catch {
                throw Malformed(message: "annotation \(annotation): \(quoted(part)) \(error)")
            }
        }
        return elements
    }

    private static func malformed(_ annotation: String, _ value: String, _ hint: String) -> Malformed {
        Malformed(message: "annotation \(annotation) is \(quoted(value)): \(hint)")
    }

    private static func quoted(_ value: String) -> String { String(reflecting: value.truncated(toBytes: 64)) }
}
