import BypassAPI
import BypassClient

/// What one namespace has to be, as the calls that succeeded said. Only one client decides about it.
struct SoakNamespace {
    typealias Instant = ContinuousClock.Instant

    /// An answer, and between which moments the daemon gave it.
    struct Asked<Answer: Sendable> {
        let from: Instant
        let until: Instant
        let answer: Result<Answer, DaemonError>

        /// nil if there is a result, or an error that is none of the daemon's own.
        var refusal: ErrorCode? {
            if case .failure(let error) = answer { error.known } else { nil }
        }
    }

    struct Bypass {
        let direction: Direction
        let owner: String
        var inode: UInt64 = 0
        var generation = 0
        /// The moment of its end is in here; nil if it does not end by itself.
        var end: ClosedRange<Instant>?
    }

    /// How long after its deadline the daemon may take to see that a bypass is over.
    static let slack = Duration.seconds(1)

    let name: String
    private(set) var exists = true
    /// Whether another namespace has had the name, which may be listed until it is seen to have gone.
    private(set) var hadAnother = false
    private(set) var bypass: Bypass?

    init(_ name: String) {
        self.name = name
    }

    /// Whether it is surely bypassed, up to that moment.
    func mustBeOn(until moment: Instant) -> Bool {
        guard let bypass else { return false }
        return bypass.end.map { moment < $0.lowerBound } ?? true
    }

    /// Whether it could still be bypassed at that moment.
    func mayBeOn(from moment: Instant) -> Bool {
        guard let bypass else { return false }
        return bypass.end.map { moment < $0.upperBound } ?? true
    }

    mutating func delete() { (exists, hadAnother, bypass) = (false, true, nil) }

    mutating func make() { exists = true }

    static func end(_ ttl: Int?, _ asked: Asked<BypassMethod.Result>) -> ClosedRange<Instant>? {
        ttl.map { asked.from + .seconds($0)...asked.until + .seconds($0) + slack }
    }
}

// MARK: what has to be answered; each gives what is wrong, or nil

extension SoakNamespace {
    mutating func turnedOn(_ wish: Bypass, ttl: Int?, _ asked: Asked<BypassMethod.Result>) -> String? {
        guard exists else { return missing(asked) }
        guard case .success(let result) = asked.answer else { return "on: \(asked.answer)" }
        bypass = wish
        bypass?.inode = result.inode
        bypass?.generation = result.generation ?? -1
        bypass?.end = Self.end(ttl, asked)
        return differencesUnlessEnded(result.status, at: asked.until)
    }

    mutating func turnedOff(_ asked: Asked<BypassMethod.Result>) -> String? {
        guard exists else { return missing(asked) }
        guard case .success(let result) = asked.answer else { return "off: \(asked.answer)" }
        defer { bypass = nil }
        if result.state != .off { return "off left it \(result.state)" }
        if mustBeOn(until: asked.until), !result.changed { return "off found nothing to end" }
        return nil
    }

    mutating func extended(by ttl: Int, _ asked: Asked<BypassMethod.Result>) -> String? {
        guard exists else { return missing(asked) }
        switch asked.answer {
        case .success(let result):
            guard let old = bypass, mayBeOn(from: asked.from) else { return "extend found a bypass" }
            bypass?.generation = result.generation ?? -1
            if let end = old.end, let new = Self.end(ttl, asked) {
                bypass?.end = max(end.lowerBound, new.lowerBound)...max(end.upperBound, new.upperBound)
            }
            return differencesUnlessEnded(result.status, at: asked.until)
        case .failure:
            guard asked.refusal == .conflict else { return "extend: \(asked.answer)" }
            if mustBeOn(until: asked.until) { return "extend found no bypass" }
            bypass = nil
            return nil
        }
    }

    mutating func reported(_ asked: Asked<BypassStatus>) -> String? {
        guard exists else { return missing(asked) }
        guard case .success(let status) = asked.answer else { return "status: \(asked.answer)" }
        return reported(status.state == .off ? nil : status, from: asked.from, until: asked.until)
    }

    /// - Parameter status: nil if it is off.
    mutating func reported(_ status: BypassStatus?, from: Instant, until: Instant) -> String? {
        guard let status else {
            if mustBeOn(until: until) { return "it is off" }
            bypass = nil
            return nil
        }
        return mayBeOn(from: from) ? differences(status) : "it is \(status.state), of \(status.owner ?? "nobody")"
    }

    /// A decision that was made on an older state of things.
    func wasLate(_ asked: Asked<BypassMethod.Result>) -> String? {
        guard exists else { return missing(asked) }
        return asked.refusal == .conflict ? nil : "a late decision: \(asked.answer)"
    }

    private func missing(_ asked: Asked<some Sendable>) -> String? {
        asked.refusal == .netnsNotFound ? nil : "deleted, and yet: \(asked.answer)"
    }

    /// A call that takes longer than the time that it gives says that the bypass has ended already.
    private mutating func differencesUnlessEnded(_ status: BypassStatus, at moment: Instant) -> String? {
        guard status.state == .off, !mustBeOn(until: moment) else { return differences(status) }
        bypass = nil
        return nil
    }

    private func differences(_ status: BypassStatus) -> String? {
        guard let bypass else { return "unknown" }
        let isSame =
            status.state == .on && status.netns == name && status.direction == bypass.direction
            && status.inode == bypass.inode && status.owner == bypass.owner && status.generation == bypass.generation
            && (status.expiresAt == nil) == (bypass.end == nil)
        return isSame ? nil : "it is \(status), not \(bypass)"
    }
}
