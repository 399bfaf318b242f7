public import StrictJSON

/// A report of a trace: the parameters of a notification.
public enum TraceEvent: Hashable, Sendable {
    /// A new connection.
    case connection(ConnectionEvent)
    /// Connections that are not reported, since the last time: there are too many, or the client does not read.
    case leftOut(Int)
    /// The trace has ended.
    case ended(TraceEnd)

    /// The notification's method.
    public enum Name: String, Sendable, CaseIterable {
        case connection
        case leftOut = "left-out"
        case ended = "trace-ended"
    }

    public var name: Name {
        switch self {
        case .connection: .connection
        case .leftOut: .leftOut
        case .ended: .ended
        }
    }
}

/// One new connection of a traced namespace.
public struct ConnectionEvent: Codable, JSONWritableObject, Hashable, Sendable {
    public var time: Timestamp
    public var direction: Direction
    /// `ip` or `ip6`.
    public var family: String
    public var `protocol`: ExplainMethod.TransportProtocol
    /// Address and port.
    public var from: String
    public var to: String
    /// Its end as the kernel has seen it.
    public var ends: ExplainMethod.End
    /// The source of `rules`.
    public var source: ExplainMethod.Source
    /// Those that decide where it ends: none where no rule does, or it is not known which.
    public var rules: [ExplainMethod.Step]

    public init(
        time: Timestamp, direction: Direction, family: String, protocol: ExplainMethod.TransportProtocol, from: String,
        to: String, ends: ExplainMethod.End, source: ExplainMethod.Source, rules: [ExplainMethod.Step]
    ) {
        self.time = time
        self.direction = direction
        self.family = family
        self.protocol = `protocol`
        self.from = from
        self.to = to
        self.ends = ends
        self.source = source
        self.rules = rules
    }

    public func writeMembers(to text: inout JSONText) {
        text.member("time", time)
        text.member("direction", direction)
        text.member("family", family)
        text.member("protocol", `protocol`)
        text.member("from", from)
        text.member("to", to)
        text.member("ends", ends)
        text.member("source", source)
        text.member("rules", rules)
    }
}

/// The parameters of `left-out`.
public struct LeftOutConnections: Codable, JSONWritableObject, Hashable, Sendable {
    public var connections: Int

    public init(connections: Int) {
        self.connections = connections
    }

    public func writeMembers(to text: inout JSONText) {
        text.member("connections", connections)
    }
}

/// The parameters of `trace-ended`.
public struct TraceEnd: Codable, JSONWritableObject, Hashable, Sendable {
    public enum Reason: String, Codable, JSONWritable, Hashable, Sendable, CaseIterable {
        /// Its seconds are over.
        case time
        /// So many connections were reported.
        case count
        /// The name no longer leads to the namespace.
        case gone
        /// The kernel can no longer be read.
        case failed
    }

    public var reason: Reason
    /// The number of reported connections.
    public var connections: Int
    public var leftOut: Int

    public init(reason: Reason, connections: Int, leftOut: Int) {
        self.reason = reason
        self.connections = connections
        self.leftOut = leftOut
    }

    public func writeMembers(to text: inout JSONText) {
        text.member("reason", reason)
        text.member("connections", connections)
        text.member("leftOut", leftOut)
    }
}

// MARK: the contract

extension TraceEvent.Name {
    var meaning: String {
        switch self {
        case .connection: "a new connection"
        case .leftOut: "connections that are not reported"
        case .ended: "the trace has ended"
        }
    }

    /// Of the notification's parameters.
    var schema: Schema {
        switch self {
        case .connection: .component("ConnectionEvent", .object(meaning, ConnectionEvent.properties))
        case .leftOut: .component("LeftOutConnections", .object(meaning, LeftOutConnections.properties))
        case .ended: .component("TraceEnd", .object(meaning, TraceEnd.properties))
        }
    }
}

extension ConnectionEvent {
    fileprivate static let properties: [Schema.Property] = [
        .init("time", .string("RFC 3339, UTC", format: "date-time")), .init("direction", .oneOf(Direction.self)),
        .init("family", .string("`ip` or `ip6`")), .init("protocol", .oneOf(ExplainMethod.TransportProtocol.self)),
        .init("from", .string("address and port")), .init("to", .string("address and port")),
        .init("ends", ExplainMethod.endSchema),
        .init("source", .oneOf(ExplainMethod.Source.self, "where `rules` are from")),
        .init("rules", .array(of: ExplainMethod.stepSchema, "that decide where it ends")),
    ]
}

extension LeftOutConnections {
    fileprivate static let properties: [Schema.Property] = [.init("connections", .integer("since the last time"))]
}

extension TraceEnd {
    fileprivate static let properties: [Schema.Property] = [
        .init("reason", .oneOf(Reason.self, named: "TraceEndReason")),
        .init("connections", .integer("that were reported")), .init("leftOut", .integer("that were not")),
    ]
}
