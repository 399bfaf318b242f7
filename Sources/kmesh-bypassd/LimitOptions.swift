import ArgumentParser
import BypassAPI

/// What one client may ask of the daemon, each with a setting.
struct LimitOptions: ParsableArguments {
    @Option(help: "Bytes in a line.")
    var maxLine = Limits().line

    @Option(help: "Levels of arrays and objects in a line.")
    var maxDepth = Limits().depth

    @Option(help: "Entries in a batch.")
    var maxBatch = Limits().batch

    @Option(help: "Connections at the same time.")
    var maxConnections = Limits().connections

    @Option(help: "Connections of one user at the same time.")
    var maxUserConnections = Limits().userConnections

    @Option(help: "Seconds for a line once begun.")
    var maxLineSeconds = Limits().lineSeconds

    @Option(help: "Requests of one user in a second; root is exempt.")
    var maxRequestsPerSecond = Limits().requestsPerSecond

    @Option(help: "Seconds without a request.")
    var maxIdleSeconds = Limits().idleSeconds

    @Option(help: "Seconds until answers are read.")
    var maxUnreadSeconds = Limits().unreadSeconds

    @Option(help: "Events that a subscriber may be behind.")
    var maxEvents = Limits().events

    func validate() throws {
        let values = [
            maxLine, maxDepth, maxBatch, maxConnections, maxUserConnections, maxLineSeconds, maxRequestsPerSecond,
            maxIdleSeconds, maxUnreadSeconds, maxEvents,
        ]
        for value in values {
            guard (1...1_000_000_000).contains(value) else {
                throw ValidationError("a limit must be between 1 and 1000000000")
            }
        }
        // They are kept in memory.
        guard maxEvents <= 1_000_000 else { throw ValidationError("--max-events must be 1000000 or less") }
        guard maxDepth <= 256 else { throw ValidationError("--max-depth must be 256 or less") }
    }

    var limits: Limits {
        var limits = Limits()
        limits.line = maxLine
        limits.depth = maxDepth
        limits.batch = maxBatch
        limits.connections = maxConnections
        limits.userConnections = maxUserConnections
        limits.lineSeconds = maxLineSeconds
        limits.requestsPerSecond = maxRequestsPerSecond
        limits.idleSeconds = maxIdleSeconds
        limits.unreadSeconds = maxUnreadSeconds
        limits.events = maxEvents
        return limits
    }
}
