package import BypassAPI

/// The state of a pod's bypass, as the pod's status annotation and its Events report it.
package enum BypassCondition: Hashable, Sendable {
    case on(until: Timestamp?)
    /// Bypassed, but something still takes traffic to the sidecar, or may: codes for the annotation, sentences for the Event;
    /// whether that is so for some of the connections only.
    case notEffective(until: Timestamp?, isPartial: Bool = false, codes: String, sentences: String)
    /// Bypassed, but another program keeps changing the rules, which the daemon repairs; sentences for the Event.
    case contested(until: Timestamp?, sentences: String)
    /// Bypassed, but nothing takes the pod's connections to a sidecar: a gateway's proxy is its application.
    case nothingToBypass(until: Timestamp?)
    /// Bypassed as before, since what the pod now asks for cannot be done; why.
    case unchanged(until: Timestamp?, String)
    /// Not bypassed, and why. A bypass that was lost has an expiry, which the next one inherits.
    case waiting(String, until: Timestamp? = nil)
    case refused(String, until: Timestamp? = nil)
    case failed(String, until: Timestamp? = nil)
    case expired(Timestamp)
    /// The bypass is off, but rules of another program bypass the sidecar all the same; sentences for the Event.
    case offNotEffective(sentences: String)
    /// The pod has neither label nor bypass; whether this controller has turned one off.
    case off(wasOn: Bool)

    /// The value of the status annotation; nil if there is none.
    package var annotation: String? {
        switch self {
        case .on(let until): "on" + Self.suffix(until)
        case .notEffective(let until, let isPartial, let codes, _):
            "on\(Self.suffix(until)), not effective\(isPartial ? " for some connections" : ""): \(codes)"
        case .contested(let until, _): "on\(Self.suffix(until)), contested"
        case .nothingToBypass(let until): "on\(Self.suffix(until)), nothing to bypass"
        case .unchanged(let until, let reason): "on\(Self.suffix(until)), unchanged: \(reason)"
        case .waiting(let reason, let until): "waiting: \(reason)" + Self.inherited(until)
        case .refused(let reason, let until): "refused: \(reason)" + Self.inherited(until)
        case .failed(let reason, let until): "failed: \(reason)" + Self.inherited(until)
        case .expired(let time): "\(Self.expiredPrefix)\(time)"
        case .offNotEffective: "off, not effective: \(Self.foreignBypass)"
        case .off: nil
        }
    }

    package var isOff: Bool {
        switch self {
        case .off, .offNotEffective: true
        default: false
        }
    }

    private static let foreignBypass = "foreign-bypass"

    /// The daemon's report about a bypass that it has turned off; nil if nothing bypasses the sidecar any more.
    package static func sentences(ofForeignBypassesIn status: BypassStatus) -> String? {
        let reasons = status.warnings.filter { $0.code == foreignBypass }.map(\.message)
        return reasons.isEmpty ? nil : reasons.joined(separator: "; ")
    }

    /// Whether the annotation has to be replaced. That a bypass has expired stays on the pod for users to read.
    package func replaces(_ annotation: String?) -> Bool {
        if case .off(wasOn: false) = self, annotation?.hasPrefix(Self.expiredPrefix) == true { return false }
        return annotation != self.annotation
    }

    private static func suffix(_ until: Timestamp?) -> String { until.map { " until \($0)" } ?? "" }

    private static let expiredPrefix = "expired "
    private static let inheritance = "; until "

    private static func inherited(_ until: Timestamp?) -> String { until.map { "\(inheritance)\($0)" } ?? "" }

    /// The expiry that a status annotation records: it outlives the memory of controller and daemon, and the bypass, too.
    package static func expiry(in annotation: String?) -> Timestamp? {
        let prefix = "on until "
        guard let annotation else { return nil }
        if annotation.hasPrefix(prefix) {
            return Timestamp(String(annotation.dropFirst(prefix.count).prefix { $0 != "," }))
        }
        guard ["waiting: ", "refused: ", "failed: "].contains(where: annotation.hasPrefix),
            let start = annotation.ranges(of: inheritance).last?.upperBound
        else { return nil }
        return Timestamp(String(annotation[start...]))
    }

    /// The expiry of an earlier bypass, which a status annotation reports.
    package static func reportedExpiry(in annotation: String?) -> Timestamp? {
        guard let annotation, annotation.hasPrefix(expiredPrefix) else { return nil }
        return Timestamp(String(annotation.dropFirst(expiredPrefix.count)))
    }

    /// The condition of a bypass that is as it was asked for.
    package init(of bypass: BypassStatus) {
        let codes = Set(bypass.warnings.map(\.code))
        let until = bypass.expiresAt
        if !bypass.effective {
            // What concerns existing connections, or the daemon's state file, is not why.
            let reasons = bypass.warnings.filter { !["established-connections", "not-recorded"].contains($0.code) }
            self = .notEffective(
                until: until, isPartial: bypass.effect == .partial,
                codes: Set(reasons.map(\.code)).sorted().joined(separator: " "),
                sentences: reasons.map(\.message).joined(separator: "; "))
        } else if codes.contains("contested") {
            let reasons = bypass.warnings.filter { $0.code == "contested" }
            self = .contested(until: until, sentences: reasons.map(\.message).joined(separator: "; "))
        } else if bypass.effect == .nothingToBypass || codes.contains("no-interception") {
            self = .nothingToBypass(until: until)
        } else {
            self = .on(until: until)
        }
    }

    /// Whether the daemon sends no event when this ends, so that its status has to be read again.
    package var isObservedByAsking: Bool {
        switch self {
        case .notEffective, .contested, .nothingToBypass: true
        default: false
        }
    }
}

extension BypassCondition {
    /// An Event (core/v1) about the pod.
    package struct Event: Hashable, Sendable {
        package var reason: String
        package var isWarning: Bool
        package var message: String

        package init(reason: String, isWarning: Bool, message: String) {
            self.reason = reason
            self.isWarning = isWarning
            self.message = message
        }
    }

    /// The Event that reports a change to this condition; nil if none does.
    ///
    /// - Parameter spec: of the bypass that there is, as far as it is known.
    package func event(of spec: BypassSpec) -> Event? {
        let which = spec.direction == .both ? "" : "\(spec.direction.rawValue) "
        switch self {
        case .on(let until):
            let end = until.map { "until \($0)" } ?? "until label \(BypassLabel.key) is removed"
            let scope = spec.only.map { " (only \($0))" } ?? ""
            let existing =
                spec.connections == .reset
                ? "Existing connections that went through it were ended."
                : "Existing connections still go through it."
            return Event(
                reason: "BypassEnabled", isWarning: false,
                message: "New \(which)connections\(scope) bypass the sidecar \(end). \(existing)")
        case .notEffective(_, _, _, let sentences):
            return Event(reason: "BypassNotEffective", isWarning: true, message: "The bypass is on, but \(sentences)")
        case .contested(_, let sentences):
            return Event(reason: "BypassContested", isWarning: true, message: "The bypass is on, but \(sentences)")
        case .nothingToBypass:
            return Event(
                reason: "BypassEnabled", isWarning: false,
                message:
                    "The bypass is on, but nothing in this pod takes \(which)connections to a sidecar: there is nothing "
                    + "to bypass. Is it the right pod?")
        case .unchanged(_, let reason):
            return Event(
                reason: "BypassFailed", isWarning: true, message: "The bypass stays as it was: \(reason).")
        case .refused(let reason, _):
            return Event(reason: "BypassFailed", isWarning: true, message: "Not bypassed: \(reason).")
        case .failed(let reason, _):
            return Event(reason: "BypassFailed", isWarning: true, message: "Not bypassed yet: \(reason). Retrying.")
        case .expired(let time):
            return Event(
                reason: "BypassExpired", isWarning: false,
                message:
                    "The bypass expired at \(time), as set by \(Annotations.ttl) or the node's policy. The label was "
                    + "removed; set it again to start another bypass.")
        case .offNotEffective(let sentences):
            return Event(reason: "BypassNotEffective", isWarning: true, message: "The bypass is off, but \(sentences)")
        case .off(let wasOn):
            guard wasOn else { return nil }
            return Event(
                reason: "BypassDisabled", isWarning: false, message: "New connections go through the sidecar again.")
        case .waiting: return nil
        }
    }
}
