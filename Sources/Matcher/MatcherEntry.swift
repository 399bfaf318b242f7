internal import CBypassABI

/// One bypassed namespace in the matcher's map: `struct bypass_value` of bypass_abi.h.
public struct MatcherEntry: Hashable, Sendable {
    /// BYPASS_HOOK_*: where the namespace's rules stand.
    public struct Hooks: OptionSet, Hashable, Sendable {
        public let rawValue: UInt32
        public init(rawValue: UInt32) { self.rawValue = rawValue }

        public static let prerouting = Self(rawValue: BYPASS_HOOK_PREROUTING)
        public static let output = Self(rawValue: BYPASS_HOOK_OUTPUT)
    }

    /// BYPASS_MADE_*: what was made in the namespace and has to go again.
    public struct Made: OptionSet, Hashable, Sendable {
        public let rawValue: UInt32
        public init(rawValue: UInt32) { self.rawValue = rawValue }

        public static let ipTable = Self(rawValue: BYPASS_MADE_IP_TABLE)
        public static let ipPrerouting = Self(rawValue: BYPASS_MADE_IP_PREROUTING)
        public static let ipOutput = Self(rawValue: BYPASS_MADE_IP_OUTPUT)
        public static let ip6Table = Self(rawValue: BYPASS_MADE_IP6_TABLE)
        public static let ip6Prerouting = Self(rawValue: BYPASS_MADE_IP6_PREROUTING)
        public static let ip6Output = Self(rawValue: BYPASS_MADE_IP6_OUTPUT)
    }

    /// CLOCK_BOOTTIME in nanoseconds; 0 for a bypass that does not end by itself.
    public var deadline: UInt64
    public var hooks: Hooks
    public var made: Made
    /// The tag of the program that the namespace's rules ask; 0 if that is not known.
    public var program: UInt64

    public init(deadline: UInt64, hooks: Hooks, made: Made, program: UInt64) {
        self.deadline = deadline
        self.hooks = hooks
        self.made = made
        self.program = program
    }

    init(_ value: bypass_value) {
        self.init(
            deadline: value.deadline_ns, hooks: Hooks(rawValue: value.hooks), made: Made(rawValue: value.made),
            program: value.program)
    }

    var value: bypass_value {
        bypass_value(deadline_ns: deadline, hooks: hooks.rawValue, made: made.rawValue, program: program)
    }
}
