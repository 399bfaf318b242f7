internal import BypassAPI

/// How it stands with a pod, as its annotation and its Events tell it.
enum PodState: Hashable, Sendable {
    case on(until: Timestamp?)
    /// Bypassed, but something still takes traffic to the sidecar: codes for the annotation, sentences for the Event.
    case notEffective(until: Timestamp?, codes: String, sentences: String)
    case waiting(String)
    case refused(String)
    case failed(String)
    /// The bypass has ended by itself.
    case expired(Timestamp)
    /// There is no label any more, and no bypass; whether this controller has ended one.
    case off(wasOn: Bool)

    /// The value of the annotation; nil for none.
    var text: String? {
        switch self {
        case .on(let until): "on" + Self.end(until)
        case .notEffective(let until, let codes, _): "on\(Self.end(until)), not effective: \(codes)"
        case .waiting(let reason): "waiting: \(reason)"
        case .refused(let reason): "refused: \(reason)"
        case .failed(let reason): "failed: \(reason)"
        case .expired(let time): "expired \(time)"
        case .off: nil
        }
    }

    /// Whether it has to be told where a pod's annotation is that one. That a bypass has ended by itself stays to be read.
    func isNews(where annotation: String?) -> Bool {
        if case .off(wasOn: false) = self, annotation?.hasPrefix("expired ") == true { return false }
        return annotation != text
    }

    private static func end(_ until: Timestamp?) -> String { until.map { " until \($0)" } ?? "" }

    /// When a bypass was to end, of which the annotation tells: the pod remembers that while controller and daemon do not.
    static func end(in annotation: String?) -> Timestamp? {
        let mark = "on until "
        guard let annotation, annotation.hasPrefix(mark) else { return nil }
        return Timestamp(String(annotation.dropFirst(mark.count).prefix { $0 != "," }))
    }

    struct Event: Hashable, Sendable {
        var reason: String
        var isWarning: Bool
        var message: String
    }

    /// What is told as an Event when this comes to be; nil if it is no news.
    func event(direction: Direction) -> Event? {
        switch self {
        case .on(let until):
            let which = direction == .both ? "" : "\(direction.rawValue) "
            let end = until.map { "until \($0)" } ?? "until label \(Names.label) is taken off"
            return Event(
                reason: "BypassEnabled", isWarning: false,
                message: "The sidecar is out of the path of new \(which)connections, \(end). Open ones stay in it.")
        case .notEffective(_, _, let sentences):
            return Event(reason: "BypassNotEffective", isWarning: true, message: "The bypass is on, but \(sentences)")
        case .refused(let reason):
            return Event(reason: "BypassFailed", isWarning: true, message: "Not bypassed: \(reason).")
        case .failed(let reason):
            return Event(reason: "BypassFailed", isWarning: true, message: "Not bypassed yet: \(reason). Trying again.")
        case .expired(let time):
            return Event(
                reason: "BypassExpired", isWarning: false,
                message:
                    "The bypass has ended at \(time), as \(Names.ttl) or the node's policy has it. The label was taken "
                    + "off; set it again for another one.")
        case .off(let wasOn):
            return wasOn
                ? Event(
                    reason: "BypassDisabled", isWarning: false,
                    message: "New connections go through the sidecar again.") : nil
        case .waiting: return nil
        }
    }
}
