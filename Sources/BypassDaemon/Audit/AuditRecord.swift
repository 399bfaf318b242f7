internal import Bypass
internal import BypassAPI
internal import JSONRPC
internal import Linux

/// A call, its caller and its result. Each change has a record; the denials of an account share one record a second,
/// and so do its failed calls.
struct AuditRecord: Sendable {
    enum Outcome: String, Sendable {
        case changed
        /// The policy, or that it is the host's namespace.
        case denied
        case failed
    }

    /// The caller; nil for what the daemon does in the background.
    var peer: Peer?
    /// The caller's account, if this machine's own files have a name for it.
    var user: String?
    /// The method, and the state that was asked for: `bypass on`.
    var method: String
    var outcome = Outcome.changed
    /// The namespace, as it was named.
    var netns: String?
    var inode: UInt64?
    /// Of the bypass that was asked for.
    var scope = Scope.all
    var owner: String?
    /// Why, as the client says.
    var reason: String?
    /// The reason for that, as the client got it.
    var error: String?
    /// The codes of the warnings that the client got.
    var warnings: [String] = []
    /// The rules of other programs that were removed.
    var removed: [String] = []
    /// Microseconds.
    var duration: Int64?
    /// The number of calls that the record stands for: it describes the last of them. nil for the first of a burst.
    var times: Int?

    /// The same, of what was not done.
    func failing(with error: BypassError) -> AuditRecord {
        var copy = self
        copy.error = ErrorObject(error).message
        switch error {
        case .permissionDenied, .hostNetnsRefused: copy.outcome = .denied
        default: copy.outcome = .failed
        }
        return copy
    }

    /// The same, of what was begun then and is done now.
    func taking(since began: Instant) -> AuditRecord {
        var copy = self
        copy.duration = Int64(clamping: (Instant.now - began).nanoseconds / 1000)
        return copy
    }

    /// The fields that are known, in the order in which people read them.
    var fields: [(name: String, value: String)] {
        let origin = peer?.origin
        let all: [(String, String?)] = [
            ("method", method), ("result", outcome.rawValue), ("netns", netns), ("inode", inode.map { "\($0)" }),
            ("scope", scope == .all ? nil : "\(scope)"),
            ("user", user), ("uid", peer.map { "\($0.credentials.uid)" }),
            ("gid", peer.map { "\($0.credentials.gid)" }),
            ("pid", peer.map { "\($0.credentials.pid)" }), ("exe", origin?.executable), ("unit", origin?.unit),
            ("cgroup", origin?.controlGroup), ("owner", owner), ("reason", reason), ("error", error),
            ("warnings", warnings.isEmpty ? nil : warnings.joined(separator: ",")),
            ("removed", removed.isEmpty ? nil : removed.joined(separator: ", ")),
            ("duration_usec", duration.map { "\($0)" }), ("times", times.map { "\($0)" }),
        ]
        return all.compactMap { name, value in value.map { (name, $0) } }
    }

    /// Its subject, for a line on which the fields follow.
    var headline: String { outcome == .changed ? method : "\(method) \(outcome.rawValue)" }

    /// One sentence for people.
    var sentence: String {
        let what = netns.map { "\(method) \($0)" } ?? method
        let who = peer.map { peer in
            let program = peer.origin?.executable.map { ", \($0)" } ?? ""
            let pid = "pid \(peer.credentials.pid)\(program)"
            return user.map { " by \($0) (uid \(peer.credentials.uid), \(pid))" }
                ?? " by uid \(peer.credentials.uid) (\(pid))"
        }
        switch outcome {
        case .changed:
            let why = [owner.map { "for \($0)" }, reason].compactMap(\.self).joined(separator: ": ")
            return what + (who ?? "") + (scope == .all ? "" : ", \(scope)") + (why.isEmpty ? "" : ", \(why)")
        case .denied, .failed:
            let many = times.map { ", the last of \($0) in a second" } ?? ""
            return "\(outcome.rawValue): \(what)\(who ?? "")\(many): \(error ?? "")"
        }
    }
}
