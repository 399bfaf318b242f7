internal import JSONRPC
internal import NIOCore

/// What the daemon tells without being asked.
struct Notification: Sendable {
    let method: String
    let params: JSONValue
}

/// Notifications that nobody has taken yet, and who waits for one. Lives on its channel's event loop.
///
/// Only some are kept: then nothing more is read until those are taken, and it is the daemon's to say what becomes of a
/// slow reader.
struct NotificationQueue {
    typealias Outcome = Result<Notification, BypassClientError>

    private var waiting: [Notification] = []
    private var listener: CheckedContinuation<Outcome, Never>?

    static let most = 64

    /// - Returns: whether no more should be read for now.
    mutating func add(_ notification: Notification) -> Bool {
        if let listener {
            self.listener = nil
            listener.resume(returning: .success(notification))
            return false
        }
        waiting.append(notification)
        return waiting.count >= Self.most
    }

    /// One listener at a time; an earlier one is let go.
    ///
    /// - Returns: whether there is room for more.
    mutating func take(_ continuation: CheckedContinuation<Outcome, Never>, endReason: BypassClientError?) -> Bool {
        fail(.cancelled)
        if !waiting.isEmpty {
            continuation.resume(returning: .success(waiting.removeFirst()))
        } else if let endReason {
            continuation.resume(returning: .failure(endReason))
        } else {
            listener = continuation
        }
        return waiting.isEmpty
    }

    mutating func fail(_ reason: BypassClientError) {
        listener?.resume(returning: .failure(reason))
        listener = nil
    }
}
