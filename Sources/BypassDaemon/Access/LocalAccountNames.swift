internal import Linux

/// The names that /etc/passwd has for users, for log lines and audit records. No server of accounts is asked: it might never
/// answer.
final class LocalAccountNames: Sendable {
    private struct State {
        var names: [UInt32: String] = [:]
        /// The file that they were read from.
        var version: FileVersion?
    }

    private let path: String
    private let state = Monitor(State())

    init(path: String = "/etc/passwd") {
        self.path = path
    }

    /// nil if the file has no user of that number, or cannot be read now.
    func name(of uid: UInt32) -> String? {
        guard let version = (try? FileVersion(of: path)).flatMap(\.self) else { return nil }
        if state.withLock({ $0.version != version }) {
            guard let names = try? UserDatabase.localNames(in: path) else { return nil }
            state.withLock { $0 = State(names: names, version: version) }
        }
        return state.withLock { $0.names[uid] }
    }
}
