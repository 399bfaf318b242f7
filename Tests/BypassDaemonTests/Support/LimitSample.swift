import BypassAPI
import JSONRPC
import Testing

@testable import BypassDaemon

/// Kept apart: `Bypass` and `BypassAPI` name some things alike.
enum LimitSample {
    /// The error of a limit, where every limit is `number`.
    static func error(_ name: String, _ number: Int) throws -> ErrorObject {
        var limits = Limits()
        limits.line = number
        limits.depth = number
        limits.batch = number
        limits.connections = number
        limits.userConnections = number
        limits.lineSeconds = number
        limits.requestsPerSecond = number
        limits.idleSeconds = number
        limits.unreadSeconds = number
        return ErrorObject(try #require(Limits.Name(rawValue: name)), limits)
    }
}
