internal import Linux

/// A client of the daemon's that costs next to nothing, for measuring: one connection, one call at a time, and whoever
/// calls waits. Not for an event loop or the cooperative pool.
public final class LineClient: Sendable {
    private let socket: BlockingSocket

    /// Connects to a Unix socket.
    public init(_ path: String) throws {
        socket = try BlockingSocket(connectingTo: path)
    }

    /// Sends a line and returns the one that comes back.
    public func call(_ line: String) throws -> String {
        try socket.exchange(line)
    }
}
