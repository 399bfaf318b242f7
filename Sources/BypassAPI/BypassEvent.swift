/// Something that happened to a bypass: what a subscriber gets, as the parameters of a notification of the event's name.
public struct BypassEvent: Codable, Hashable, Sendable {
    /// What happened; the notification's method.
    public enum Name: String, Codable, Hashable, Sendable, CaseIterable {
        /// Turned on; or, while on, given another direction, end, owner or reason.
        case on
        case off
        /// Its time was over.
        case expired
        /// Somebody has damaged it, and it is not repaired yet.
        case degraded
        case repaired
        /// Its namespace has gone.
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
            case .on: "turned on; or, while on, given another direction, end, owner or reason"
            case .off: "turned off"
            case .expired: "its time was over"
            case .degraded: "damaged by somebody else, and not repaired yet: `warnings` says what is wrong"
            case .repaired: "whole again"
            case .gone: "its namespace has gone"
            }
        }
    }

    /// One more than the event before.
    public var sequence: Int
    /// The bypass as it is after the event.
    public var bypass: BypassStatus

    public init(sequence: Int, bypass: BypassStatus) {
        self.sequence = sequence
        self.bypass = bypass
    }
}
