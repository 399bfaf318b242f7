internal import BypassAPI

/// The label that users set on a pod.
enum BypassLabel {
    static let key = "kmesh.net/bypass"
    static let selector = "\(key)=enabled"
}

/// The annotations that users set on a pod, and the one that the controller writes.
enum Annotations {
    static let direction = "kmesh.net/bypass-direction"
    static let ttl = "kmesh.net/bypass-ttl"
    static let reason = "kmesh.net/bypass-reason"
    /// Written by the controller: a ``BypassCondition``.
    static let status = "kmesh.net/bypass-status"
}

/// How a pod is to be bypassed, as its annotations say.
struct BypassSpec: Hashable, Sendable {
    var direction = Direction.both
    /// Seconds.
    var ttl: Int?
    var reason: String?

    /// An annotation has an invalid value; the message says which values are valid.
    struct Malformed: Error, Hashable, Sendable {
        var message: String
    }

    init(direction: Direction = .both, ttl: Int? = nil, reason: String? = nil) {
        self.direction = direction
        self.ttl = ttl
        self.reason = reason
    }

    init(annotations: [String: String]) throws(Malformed) {
        if let text = annotations[Annotations.direction] {
            guard let direction = Direction(rawValue: text) else {
                throw Self.malformed(Annotations.direction, text, "it must be both, inbound or outbound")
            }
            self.direction = direction
        }
        if let text = annotations[Annotations.ttl] {
            do throws(TimeToLive.Malformed) {
                ttl = try TimeToLive(text).seconds
            } catch {
                throw Self.malformed(Annotations.ttl, text, error.description)
            }
        }
        reason = annotations[Annotations.reason]
        guard (reason?.utf8.count ?? 0) <= 256 else {
            throw Malformed(message: "annotation \(Annotations.reason) is longer than 256 bytes")
        }
    }

    private static func malformed(_ annotation: String, _ value: String, _ hint: String) -> Malformed {
        Malformed(message: "annotation \(annotation) is \(String(reflecting: String(value.prefix(64)))): \(hint)")
    }
}
