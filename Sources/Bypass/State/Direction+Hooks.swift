package import BypassAPI

/// A direction of the wire and the hooks that it stands for: two forms of one thing.
extension Direction {
    /// Where connections of this direction bypass the sidecar.
    package var hooks: HookSet {
        switch self {
        case .both: [.prerouting, .output]
        case .inbound: [.prerouting]
        case .outbound: [.output]
        }
    }

    /// nil if no direction has these hooks.
    package init?(_ hooks: HookSet) {
        guard let direction = Self.allCases.first(where: { $0.hooks == hooks }) else { return nil }
        self = direction
    }
}
