import MeshSandbox
import TestSupport

/// What is under way when the daemon is killed.
enum CrashStep: Hashable, Sendable, CustomStringConvertible {
    case on(String)
    case off
    case extend
    /// A bypass whose time is over while the harness waits.
    case expiry(String)
    /// Starting again.
    case restart
    /// Starting again, with rules of an older matcher.
    case upgrade

    static let directions = ["both", "inbound", "outbound"]

    static func random(_ random: inout SplitMix) -> CrashStep {
        switch random.next(below: 20) {
        case 0..<9: .on(directions[random.next(below: 3)])
        case 9..<14: .off
        case 14: .extend
        case 15: .expiry(directions[random.next(below: 3)])
        case 16..<18: .upgrade
        default: .restart
        }
    }

    /// How connections go if it is carried out.
    func after(_ before: CrashBehaviour) -> CrashBehaviour {
        switch self {
        case .on(let direction), .expiry(let direction): .bypassed(direction)
        case .off: .mesh
        case .extend, .restart, .upgrade: before
        }
    }

    /// How connections may go while it is under way, or after it was cut off.
    func allowed(_ before: CrashBehaviour) -> Set<CrashBehaviour> {
        if case .expiry = self { return [before, after(before), .mesh] }
        return [before, after(before)]
    }

    var isSlow: Bool { if case .expiry = self { true } else { false } }

    var isStart: Bool { self == .restart || self == .upgrade }

    var description: String {
        switch self {
        case .on(let direction): "on \(direction)"
        case .off: "off"
        case .extend: "extend"
        case .expiry(let direction): "expiry \(direction)"
        case .restart: "restart"
        case .upgrade: "upgrade"
        }
    }

    /// For a table: without what makes it one of a kind.
    var kind: String { String(description.prefix { $0 != " " }) }
}

/// How new connections of a namespace go.
enum CrashBehaviour: Hashable, Sendable {
    case mesh
    case bypassed(String)

    var paths: Paths {
        switch self {
        case .mesh: .sidecar
        case .bypassed(let direction): .bypassed(direction)
        }
    }

    /// Who answers a connection of that direction.
    func answer(_ direction: MeshSandbox.Direction) -> MeshSandbox.Answer {
        guard case .bypassed(let which) = self else { return .sidecar }
        return which == "both" || which == direction.rawValue ? .app : .sidecar
    }
}
