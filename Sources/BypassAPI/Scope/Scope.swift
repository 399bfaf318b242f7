/// The connections that a bypass is for: what is in `only`, and not in `except`, and of the control group if there is one.
public struct Scope: Hashable, Sendable {
    /// nil: every connection.
    public var only: ConnectionSet?
    /// nil: no connection.
    public var except: ConnectionSet?
    /// The control group whose sockets it is for, by its number in cgroup v2. nil: whatever sends.
    public var cgroup: UInt64?

    public init(only: ConnectionSet? = nil, except: ConnectionSet? = nil, cgroup: UInt64? = nil) {
        self.only = only
        self.except = except
        self.cgroup = cgroup
    }

    /// Every connection.
    public static let all = Scope()

    /// No connection.
    public static let nothing = Scope(except: .allAddresses)

    /// Of a connection whose sender is not of the scope's control group, or is not known.
    ///
    /// - Parameters:
    ///   - port: the destination port that the client asked for; nil of a protocol without ports.
    ///   - remote: the address of the other side: outbound the destination, inbound the source.
    public func contains(port: UInt16?, remote: InternetAddress) -> Bool {
        cgroup == nil && only?.contains(port: port, remote: remote) ?? true
            && !(except?.contains(port: port, remote: remote) ?? false)
    }

    /// Whether no connection is in it.
    public var isEmpty: Bool { isSubset(of: .nothing) }

    /// Whether every connection of this scope is in another.
    ///
    /// Ports and addresses fall into classes between the ends of all ranges and networks that occur: the first of each class
    /// stands for it. A connection is in a set if its port is and its address is, so a class is only what sets it is in.
    public func isSubset(of other: Scope) -> Bool {
        if let group = other.cgroup, group != cgroup { return isEmpty }
        let sets = [only, except, other.only, other.except]
        func classes<Element>(_ samples: [Element], _ isIn: (ConnectionSet, Element) -> Bool) -> Set<[Bool?]> {
            Set(samples.map { sample in sets.map { set in set.map { isIn($0, sample) } } })
        }
        let ports = classes(Self.samplePorts(of: sets)) { $0.containsPort($1) }
        let remotes = classes(Self.sampleRemotes(of: sets)) { $0.containsRemote($1) }
        return ports.allSatisfy { port in
            remotes.allSatisfy { remote in
                let found = zip(port, remote).map { port, remote in port.flatMap { port in remote.map { port && $0 } } }
                let isHere = found[0] ?? true && !(found[1] ?? false)
                let isThere = found[2] ?? true && !(found[3] ?? false)
                return !isHere || isThere
            }
        }
    }

    private static func samplePorts(of sets: [ConnectionSet?]) -> [UInt16?] {
        let ranges = sets.flatMap { $0?.ports ?? [] }
        return [nil, 0] + ranges.map(\.first) + ranges.map { $0.last &+ 1 }
    }

    private static func sampleRemotes(of sets: [ConnectionSet?]) -> [InternetAddress] {
        let networks = sets.flatMap { $0?.networks ?? [] }
        return [InternetAddress(ipv4: 0), InternetAddress(ipv6: 0, 0)] + networks.map(\.address)
            + networks.map { $0.last.next }
    }
}

extension InternetAddress {
    /// The address behind this one; behind the last of the family the first.
    fileprivate var next: InternetAddress {
        if isIPv4 { return InternetAddress(isIPv4: true, high: high &+ 1 << 32, low: 0) }
        return InternetAddress(ipv6: low == .max ? high &+ 1 : high, low &+ 1)
    }
}

extension Scope: CustomStringConvertible {
    /// Such as `only port 8080 in network 10.0.0.0/8, except port 8081`.
    public var description: String {
        if let cgroup {
            let others = Scope(only: only, except: except)
            return "only control group \(cgroup)" + (others == .all ? "" : ", \(others)")
        }
        return switch (only, except) {
        case (nil, nil): "all connections"
        case (nil, let except?): "all but \(except)"
        case (let only?, nil): "only \(only)"
        case (let only?, let except?): "only \(only), except \(except)"
        }
    }
}
