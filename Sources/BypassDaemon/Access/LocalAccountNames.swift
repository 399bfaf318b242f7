internal import Linux

/// The names that /etc/passwd has for users, for log lines and audit records. No server of accounts is asked: it might never
/// answer.
final class LocalAccountNames: Sendable {
    private struct State {
        var names: [UInt32: String] = [:]
        /// The file that they were read from.
        var version: FileVersion?
        /// When the file was of that version.
        var seen: Instant?
    }

    private let path: String
    private let state = Monitor(State())
    /// A user that was given another name has it after this at the latest, and a new user at once.
    private static let maxAge = Interval.seconds(1)

    init(path: String = "/etc/passwd") {
        self.path = path
    }

    /// nil if the file has no user of that number, or cannot be read now.
    func name(of uid: UInt32) -> String? {
        let now = Instant.now
        let known = state.withLock { state -> String? in
            guard let seen = state.seen, now - seen < Self.maxAge else { return nil }
            return state.names[uid]
        }
        if let known { return known }
        guard let version = (try? FileVersion(of: path)).flatMap(\.self) else { return nil }
        if state.withLock({ $0.version != version }) {
            guard let names = try? UserDatabase.localNames(in: path) else { return nil }
            state.withLock { $0 = State(names: names, version: version) }
        }
        return state.withLock { state in
            state.seen = now
            return state.names[uid]
        }
    }
}
