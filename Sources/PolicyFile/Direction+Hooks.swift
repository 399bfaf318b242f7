public import Bypass
public import BypassAPI

extension Direction {
    /// Where connections of this direction are let past the sidecar.
    public var hooks: Set<Hook> {
        switch self {
        case .both: [.prerouting, .output]
        case .inbound: [.prerouting]
        case .outbound: [.output]
        }
    }
}
