package import BypassAPI

/// A direction of the wire and the hooks that it stands for: two forms of one thing.
extension Direction {
    /// The hooks at which connections of this direction bypass the sidecar.
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

extension HookSet {
    /// The connections at a hook that bypass the sidecar in these directions; nil for none.
    package func traffic(at hook: Hook) -> Traffic? {
        switch hook {
        case .output: contains(.output) ? .all : nil
        case .prerouting:
            switch (contains(.prerouting), contains(.output)) {
            case (true, true): .all
            case (true, false): .local
            case (false, true): .forwarded
            case (false, false): nil
            }
        }
    }
}
