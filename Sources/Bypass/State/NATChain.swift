package import BypassAPI

/// The address families that a bypass covers.
package enum Family: Hashable, Sendable, CaseIterable {
    case ip, ip6
}

/// A hook at which a connection's first packet can be taken to the sidecar.
package enum Hook: Hashable, Sendable, CaseIterable {
    /// Inbound connections.
    case prerouting
    /// Outbound connections.
    case output
}

/// The kind of interface that a packet comes in by.
package enum Source: Hashable, Sendable, CaseIterable {
    /// Any interface but `lo`.
    case outside
    /// `lo`: the namespace itself has sent them.
    case loopback
    /// An interface that a rule names, and not `lo`: it may be that of a virtual machine or an inner container.
    case namedInterface
}

/// The connections at a hook that one of our rules is for. In PREROUTING are those from outside to the namespace itself,
/// which are inbound, and those that it only forwards: what a virtual machine or an inner container behind it sends, which is
/// outbound.
package enum Traffic: Hashable, Sendable, CaseIterable {
    case all
    /// To the namespace's own addresses.
    case local
    /// To other addresses.
    case forwarded

    /// Whether a rule for this traffic takes connections of a direction that come by a hook.
    func includes(_ direction: Hook, at hook: Hook) -> Bool {
        switch self {
        case .all: true
        case .local: hook == .prerouting && direction == .prerouting
        case .forwarded: hook == .prerouting && direction == .output
        }
    }
}

/// A base chain of iptables' nat table.
package struct NATChain: Hashable, Sendable {
    package var family: Family
    package var hook: Hook

    package init(_ family: Family, _ hook: Hook) {
        self.family = family
        self.hook = hook
    }
}

/// One of the two chains that hide a new inbound connection from TPROXY. They only work together.
package enum MaskChain: Hashable, Sendable, CaseIterable {
    /// Before the mesh's chain: writes a protocol number into the packet's IP header that no rule knows.
    case mask
    /// After it: writes the packet's own number back.
    case unmask
}

/// The packets that the mask hides from TPROXY: the first ones of TCP connections, or those and all of UDP.
package struct Mask: Hashable, Sendable {
    package var families: FamilySet
    package var hidesDatagrams: Bool

    package init(_ families: FamilySet, hidesDatagrams: Bool = true) {
        self.families = families
        self.hidesDatagrams = hidesDatagrams
    }

    func covers(_ other: Mask) -> Bool {
        families.isSuperset(of: other.families) && (hidesDatagrams || !other.hidesDatagrams)
    }

    package func union(_ other: Mask) -> Mask {
        Mask(families.union(other.families), hidesDatagrams: hidesDatagrams || other.hidesDatagrams)
    }
}

/// An object that the daemon created in a namespace because it was missing, and removes again.
package enum CreatedObject: Hashable, Sendable {
    case table(Family)
    case chain(NATChain)
    /// The mask: a bypass that has needed it keeps it.
    case mask
}

/// A namespace's entry in the matcher's map: the switch.
package struct MapEntry: Hashable, Sendable {
    /// CLOCK_BOOTTIME in nanoseconds; 0 for a bypass that does not end by itself.
    package var deadline: UInt64
    package var hooks: HookSet
    /// The connections that it is for.
    package var scope: Scope
    package var created: CreatedObjectSet
    /// Whether the rules ask the matcher that is pinned now. A rule keeps the program that it was made with.
    package var isCurrent: Bool

    package init(
        deadline: UInt64, hooks: HookSet, scope: Scope = .all, created: CreatedObjectSet = [], isCurrent: Bool = true
    ) {
        self.deadline = deadline
        self.hooks = hooks
        self.scope = scope
        self.created = created
        self.isCurrent = isCurrent
    }

    /// Whether the matcher matches.
    package func isLive(at now: UInt64) -> Bool {
        deadline == 0 || now < deadline
    }

    /// A deadline that has always passed: the matcher does not match, and the created objects are still known.
    package static let expired: UInt64 = 1

    /// Replaces an implausible deadline. It has always passed, too.
    package static let implausible: UInt64 = 2

    /// Replaces the deadline of an entry with a condition that only a later version knows: without that condition the bypass
    /// would be for more connections than was asked for. It has always passed, too.
    package static let ofLaterVersion: UInt64 = 3

    /// Whether the deadline has passed here, but perhaps not to the matcher.
    package var isRefused: Bool { deadline == Self.implausible || deadline == Self.ofLaterVersion }

    /// A deadline as it was read from a file or the map. One beyond every ttl was never given: a bypass that ends too early is
    /// better than one that does not end.
    package static func checked(_ deadline: UInt64, at now: UInt64) -> UInt64 {
        isPlausible(deadline, at: now) ? deadline : implausible
    }

    /// Whether a bypass can have a deadline.
    package static func isPlausible(_ deadline: UInt64, at now: UInt64) -> Bool {
        deadline <= now || deadline - now <= UInt64(TimeToLive.maxSeconds) * 1_000_000_000
    }
}

/// The state that a namespace is to be in.
package enum DesiredState: Hashable, Sendable {
    case on(HookSet, scope: Scope = .all, deadline: UInt64)
    case off
}
