public import StrictJSON

/// A change of a bypass: the parameters of the notification that a subscriber gets. Its method is the event's name.
public struct BypassEvent: Codable, JSONWritableObject, Hashable, Sendable {
    /// The kind of change; the notification's method.
    public enum Name: String, Codable, Hashable, Sendable, CaseIterable {
        /// Turned on; or, while on, given another direction, scope, end, owner or reason.
        case on
        /// Turned off, or other programs' rules that bypassed the sidecar were removed (`removed`), or both.
        case off
        /// Its time to live has passed.
        case expired
        /// Another program has damaged it, and the daemon has not repaired it yet.
        case degraded
        case repaired
        /// Its namespace was deleted.
        case gone

        /// Whether there is a bypass afterwards.
        public var leavesBypass: Bool {
            switch self {
            case .on, .degraded, .repaired: true
            case .off, .expired, .gone: false
            }
        }

        /// One clause for people.
        public var meaning: String {
            switch self {
            case .on: "turned on; or, while on, given another direction, scope, end, owner or reason"
            case .off: "turned off; or rules of another program that bypassed the sidecar were removed"
            case .expired: "expired"
            case .degraded: "damaged by another program, and not repaired yet: see `warnings`"
            case .repaired: "repaired"
            case .gone: "its namespace was deleted"
            }
        }
    }

    /// The caller that ended a bypass, with owner and reason. Of one that ended by itself: those that had turned it on.
    public struct Cause: Codable, JSONWritableObject, Hashable, Sendable {
        public var by: BypassStatus.Peer?
        public var owner: String?
        public var reason: String?

        public init(by: BypassStatus.Peer? = nil, owner: String? = nil, reason: String? = nil) {
            self.by = by
            self.owner = owner
            self.reason = reason
        }

        public func writeMembers(to text: inout JSONText) {
            text.member("by", by)
            text.member("owner", owner)
            text.member("reason", reason)
        }
    }

    /// One more than the event before.
    public var sequence: Int
    /// The bypass as it is after the event.
    public var bypass: BypassStatus
    /// Of `off`, `expired` and `gone`.
    public var cause: Cause?
    /// Of `repaired`: the codes of the warnings that said what was damaged.
    public var damage: [String]?
    /// Of `off`: the rules of other programs that went with it, or some of very many; nil if there were none.
    public var removed: [String]?

    public init(
        sequence: Int, bypass: BypassStatus, cause: Cause? = nil, damage: [String]? = nil, removed: [String]? = nil
    ) {
        self.sequence = sequence
        self.bypass = bypass
        self.cause = cause
        self.damage = damage
        self.removed = removed
    }

    public func writeMembers(to text: inout JSONText) {
        text.member("sequence", sequence)
        text.member("bypass", bypass)
        text.member("cause", cause)
        text.member("damage", damage)
        text.member("removed", removed)
    }
}

// MARK: the contract

extension BypassEvent {
    private static let schema = Schema.component(
        "BypassEvent", .object("the parameters of a notification", properties))

    private static let properties: [Schema.Property] = [
        .init("sequence", .integer("one more than that of the notification before")),
        .init("bypass", BypassStatus.schema),
        .init(
            "cause",
            .component(
                "EventCause",
                .object(
                    "who ended a bypass, and why",
                    [
                        .init("by", BypassStatus.Peer.schema("the caller").orNull), .init("owner", .string().orNull),
                        .init("reason", .string().orNull),
                    ]), "of `off`, `expired` and `gone`; of the last two, who had turned the bypass on"
            ).orNull),
        .init(
            "damage",
            .array(
                of: BypassStatus.Warning.codeSchema,
                "of `repaired`: the codes of the warnings that said what was damaged"
            ).orNull),
        .init(
            "removed",
            .array(
                of: .string(),
                "of `off` with `foreign`: the rules of other programs that were removed, or the first of very many; the "
                    + "namespace need not have been bypassed otherwise"
            ).orNull),
    ]

    static let notifications = Name.allCases.map {
        RPCNotification(name: $0.rawValue, summary: $0.meaning, schema: schema)
    }
}
