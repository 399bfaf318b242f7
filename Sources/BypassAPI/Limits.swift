/// The limits of one client. Beyond a limit a client gets `limit-exceeded` with the limit's name.
public struct Limits: Hashable, Sendable {
    /// `line`: bytes in one line.
    public var line = 64 * 1024
    /// `depth`: arrays and objects inside each other.
    public var depth = 32
    /// `batch`: entries in one batch.
    public var batch = 64
    /// `connections`: at the same time.
    public var connections = 256
    /// `user-connections`: of one user at the same time.
    public var userConnections = 64
    /// `line-seconds`: from the first byte of a line to its end.
    public var lineSeconds = 30
    /// `requests-per-second`: of one user, over all its connections; as many may come at once. Root is exempt.
    public var requestsPerSecond = 1000
    /// `idle-seconds`: without a request, and with none under way.
    public var idleSeconds = 600
    /// `unread-seconds`: until a client that does not read its answers is disconnected.
    public var unreadSeconds = 30
    /// `events`: that a subscriber may be behind.
    public var events = 1024

    public init() {}

    /// The limits' names on the wire.
    public enum Name: String, Sendable, CaseIterable {
        case line, depth, batch, connections
        case userConnections = "user-connections"
        case lineSeconds = "line-seconds"
        case requestsPerSecond = "requests-per-second"
        case idleSeconds = "idle-seconds"
        case unreadSeconds = "unread-seconds"
        case events
        /// Fixed: the matcher's map has room for as many.
        case scopePorts = "scope-ports"
        case scopeNetworks = "scope-networks"
        /// Fixed: each has a thread, and makes the kernel report.
        case traces
    }

    /// `traces`: at the same time, in all and of one user.
    public static let (maxTraces, maxUserTraces) = (16, 4)

    /// The allowance of a limit, for people.
    public func allowance(_ name: Name) -> String {
        switch name {
        case .line: "\(line) bytes in a line"
        case .depth: "\(depth) levels of arrays and objects"
        case .batch: "\(batch) entries in a batch"
        case .connections: "\(connections) connections at the same time"
        case .userConnections: "\(userConnections) connections of one user at the same time"
        case .lineSeconds: "\(lineSeconds) seconds for a line once begun"
        case .requestsPerSecond: "\(requestsPerSecond) requests of one user in a second"
        case .idleSeconds: "\(idleSeconds) seconds without a request"
        case .unreadSeconds: "\(unreadSeconds) seconds until answers are read"
        case .events: "\(events) events that a subscriber has not read"
        case .scopePorts: "\(ConnectionSet.maxPorts) ports and ranges in a set of connections"
        case .scopeNetworks: "\(ConnectionSet.maxNetworks) networks in a set of connections"
        case .traces: "\(Self.maxTraces) traces at the same time, and \(Self.maxUserTraces) of one user"
        }
    }
}
