internal import Bypass
internal import BypassAPI
internal import CBypassABI
internal import Linux

/// One bypassed namespace in the matcher's map, as it lies there: `struct bypass_value` of bypass_abi.h.
struct RawMapEntry: Hashable, Sendable {
    /// BYPASS_HOOK_*: where the namespace's rules stand.
    struct Hooks: OptionSet, Hashable, Sendable {
        let rawValue: UInt32

        static let prerouting = Self(rawValue: BYPASS_HOOK_PREROUTING)
        static let output = Self(rawValue: BYPASS_HOOK_OUTPUT)
    }

    /// BYPASS_MADE_*: what was made in the namespace and has to go again.
    struct Created: OptionSet, Hashable, Sendable {
        let rawValue: UInt32

        static let ipTable = Self(rawValue: BYPASS_MADE_IP_TABLE)
        static let ipPrerouting = Self(rawValue: BYPASS_MADE_IP_PREROUTING)
        static let ipOutput = Self(rawValue: BYPASS_MADE_IP_OUTPUT)
        static let ip6Table = Self(rawValue: BYPASS_MADE_IP6_TABLE)
        static let ip6Prerouting = Self(rawValue: BYPASS_MADE_IP6_PREROUTING)
        static let ip6Output = Self(rawValue: BYPASS_MADE_IP6_OUTPUT)
        static let mask = Self(rawValue: BYPASS_MADE_MASK)
    }

    /// CLOCK_BOOTTIME in nanoseconds; 0 for a bypass that does not end by itself.
    var deadline: UInt64
    var hooks: Hooks
    var created: Created
    /// The tag of the program that the namespace's rules ask; 0 if that is not known.
    var program: UInt64
    /// The connections that it is for.
    var scope: Scope

    init(deadline: UInt64, hooks: Hooks, created: Created, program: UInt64, scope: Scope) {
        self.deadline = deadline
        self.hooks = hooks
        self.created = created
        self.program = program
        self.scope = scope
    }

    init(_ value: bypass_value) {
        self.init(
            deadline: value.isUnderstood ? value.deadline_ns : MapEntry.ofLaterVersion,
            hooks: Hooks(rawValue: value.hooks), created: Created(rawValue: value.made),
            program: value.program, scope: Scope(value))
    }

    var value: bypass_value {
        var value = bypass_value()
        value.deadline_ns = deadline
        value.hooks = hooks.rawValue
        value.made = created.rawValue
        value.program = program
        value.set(scope)
        return value
    }
}

extension bypass_value {
    /// Whether this version knows every condition of the bypass.
    fileprivate var isUnderstood: Bool {
        scope & ~UInt64(BYPASS_SCOPE_ONLY | BYPASS_SCOPE_EXCEPT | BYPASS_SCOPE_CGROUP) == 0
            && hooks & ~(BYPASS_HOOK_PREROUTING | BYPASS_HOOK_OUTPUT) == 0
    }
}

extension MapEntry {
    /// - Parameter tag: of the matcher that is pinned now.
    init(_ entry: RawMapEntry, tag: UInt64) {
        var (hooks, created) = (HookSet(), CreatedObjectSet())
        for hook in Hook.all where entry.hooks.contains(hook.bit) { hooks.insert(hook) }
        for object in CreatedObject.all where entry.created.contains(object.bit) { created.insert(object) }
        self.init(
            deadline: Self.checked(entry.deadline, at: BootClock.now), hooks: hooks, scope: entry.scope,
            created: created, isCurrent: entry.program == tag)
    }

    /// As it is written to the map of the matcher with this tag.
    func raw(tag: UInt64) -> RawMapEntry {
        var entry = RawMapEntry(
            deadline: deadline, hooks: [], created: [], program: isCurrent ? tag : 0, scope: scope)
        for hook in hooks { entry.hooks.formUnion(hook.bit) }
        for object in created { entry.created.formUnion(object.bit) }
        return entry
    }
}

extension Hook {
    fileprivate var bit: RawMapEntry.Hooks { self == .output ? .output : .prerouting }
}

extension CreatedObject {
    fileprivate var bit: RawMapEntry.Created {
        switch self {
        case .table(.ip): .ipTable
        case .table(.ip6): .ip6Table
        case .mask: .mask
        case .chain(let natChain):
            switch (natChain.family, natChain.hook) {
            case (.ip, .prerouting): .ipPrerouting
            case (.ip, .output): .ipOutput
            case (.ip6, .prerouting): .ip6Prerouting
            case (.ip6, .output): .ip6Output
            }
        }
    }
}
