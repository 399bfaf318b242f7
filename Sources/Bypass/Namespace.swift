/// The address families that a bypass covers.
public enum Family: Hashable, Sendable, CaseIterable {
    case ip, ip6
}

/// Where a connection's first packet can be taken to the sidecar.
public enum Hook: Hashable, Sendable, CaseIterable {
    /// Inbound connections.
    case prerouting
    /// Outbound connections.
    case output
}

/// A base chain of iptables' nat table.
public struct Place: Hashable, Sendable {
    public var family: Family
    public var hook: Hook

    public init(_ family: Family, _ hook: Hook) {
        self.family = family
        self.hook = hook
    }
}

/// What the daemon made in a namespace because it was not there, and takes away again.
public enum Made: Hashable, Sendable {
    case table(Family)
    case chain(Place)
}

/// A namespace's entry in the matcher's map: the switch.
public struct Entry: Hashable, Sendable {
    /// CLOCK_BOOTTIME in nanoseconds; 0 for a bypass that does not end by itself.
    public var deadline: UInt64
    public var hooks: Set<Hook>
    public var made: Set<Made>
    /// Whether the rules ask the matcher that is pinned now. A rule keeps the program that it was made with.
    public var isCurrent: Bool

    public init(deadline: UInt64, hooks: Set<Hook>, made: Set<Made> = [], isCurrent: Bool = true) {
        self.deadline = deadline
        self.hooks = hooks
        self.made = made
        self.isCurrent = isCurrent
    }

    /// Whether the matcher says yes.
    public func isLive(at now: UInt64) -> Bool {
        deadline == 0 || now < deadline
    }

    /// A moment that has always passed: the matcher says no, and what was made is still known.
    public static let passed: UInt64 = 1
}

/// What is wanted of a namespace.
public enum Wish: Hashable, Sendable {
    case on(Set<Hook>, deadline: UInt64)
    case off
}
