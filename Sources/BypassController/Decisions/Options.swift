internal import BypassAPI

/// How a pod wants to be bypassed.
struct Options: Hashable, Sendable {
    var direction = Direction.both
    /// Seconds.
    var ttl: Int?
    var reason: String?

    /// An annotation with a value that cannot be; a sentence with what would be taken.
    struct Malformed: Error, Hashable, Sendable {
        var sentence: String
    }

    init(direction: Direction = .both, ttl: Int? = nil, reason: String? = nil) {
        self.direction = direction
        self.ttl = ttl
        self.reason = reason
    }

    init(annotations: [String: String]) throws(Malformed) {
        if let text = annotations[Names.direction] {
            guard let direction = Direction(rawValue: text) else {
                throw Malformed(sentence: Self.wrong(Names.direction, text, "it must be both, inbound or outbound"))
            }
            self.direction = direction
        }
        if let text = annotations[Names.ttl] {
            do throws(TimeToLive.Malformed) {
                ttl = try TimeToLive(text).seconds
            } catch {
                throw Malformed(sentence: Self.wrong(Names.ttl, text, error.description))
            }
        }
        reason = annotations[Names.reason]
        guard (reason?.utf8.count ?? 0) <= 256 else {
            throw Malformed(sentence: "annotation \(Names.reason) is longer than 256 bytes")
        }
    }

    private static func wrong(_ name: String, _ value: String, _ advice: String) -> String {
        "annotation \(name) is \(String(reflecting: String(value.prefix(64)))): \(advice)"
    }
}
