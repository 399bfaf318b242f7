package import Bypass
package import Linux
package import Netfilter
internal import SystemPackage

/// A trace of a namespace's new connections. Between its start and ``end()`` a table of the daemon's is in the namespace,
/// which the kernel removes if the daemon is killed.
package struct NamespaceTrace: ~Copyable {
    private var tracer: ConnectionTracer
    private var rules: NamespaceRules
    /// Of the ruleset, when the rules were read; nil before they are read again.
    private var generation: UInt32?
    /// When rules may be read again that have changed, and when they are read whether they have or not: those of
    /// iptables-legacy have no generation.
    private var nextReading: (ifChanged: Instant, always: Instant) = (.now, .now + maxAge)
    private let matcher: Matcher
    private let closer: DeferredCloser
    /// The number of connections when it was read last; those that were not traced count, too.
    package private(set) var connections = 0
    /// They wait for rules that have changed, and may not be read again yet.
    private var waiting: [TracedConnection] = []

    private static let maxAge = Interval.milliseconds(500)
    /// What it takes to read rules is a part of the time, however many there are and however often they change.
    private static let pauses: UInt64 = 10

    /// Begins the trace.
    package init(
        _ namespace: borrowing NetworkNamespace, _ rules: NamespaceRules, matcher: Matcher, closer: DeferredCloser
    ) throws(BypassError) {
        tracer = try Self.startTracer(in: namespace, closer)
        self.rules = rules
        self.matcher = matcher
        self.closer = closer
    }

    private static func startTracer(
        in namespace: borrowing NetworkNamespace, _ closer: DeferredCloser
    ) throws(BypassError) -> ConnectionTracer {
        var tracer = try makeTracer(in: namespace)
        do throws(NetfilterError) {
            try tracer.start()
        } catch {
            for socket in tracer.sockets { closer.add(socket) }
            throw BypassError(startingTrace: error)
        }
        return tracer
    }

    private static func makeTracer(in namespace: borrowing NetworkNamespace) throws(BypassError) -> ConnectionTracer {
        do throws(SystemCallError) {
            return try namespace.withEntered { () throws(SystemCallError) in try ConnectionTracer() }
        } catch {
            throw BypassError(error)
        }
    }

    /// A new connection: where it went, and by which rules.
    package struct Connection: Sendable {
        package let traced: TracedConnection
        package let way: NamespaceRules.Way
        /// It comes from outside to an address of the namespace.
        package let isInbound: Bool
    }

    /// Connections that have reached their ends. Waits for one, but not longer than that.
    package mutating func next(within time: Interval) throws(BypassError) -> [Connection] {
        do throws(NetfilterError) {
            let now = Instant.now
            let pause = nextReading.ifChanged > now ? nextReading.ifChanged - now : .milliseconds(0)
            waiting += try tracer.next(within: waiting.isEmpty ? time : min(time, pause))
            if waiting.isEmpty { return [] }
            guard try readChangedRules() else { return [] }
        } catch {
            throw BypassError(readingTrace: error)
        }
        defer { waiting = [] }
        return waiting.map { connection in
            let isLocal = rules.context.isLocal(connection.to.address.bytes)
            return Connection(
                traced: connection, way: rules.way(of: connection),
                isInbound: connection.origin == .outside && isLocal != false)
        }
    }

    /// Reads how many connections there were.
    package mutating func count() throws(BypassError) {
        do throws(NetfilterError) {
            connections = Int(clamping: try tracer.state().connections)
        } catch {
            throw BypassError(readingTrace: error)
        }
    }

    /// Ends the trace and removes its table.
    package consuming func end() {
        // If this fails, the kernel removes the table with the socket.
        try? tracer.stop()
        for socket in tracer.sockets { closer.add(socket) }
    }

    /// - Returns: false if they have changed, and it is too soon to read them again.
    private mutating func readChangedRules() throws(NetfilterError) -> Bool {
        let state = try tracer.state()
        connections = Int(clamping: state.connections)
        let began = Instant.now
        if state.generation != generation && began < nextReading.ifChanged { return false }
        guard state.generation != generation || began >= nextReading.always, let socket = tracer.sockets.first else {
            return true
        }
        // If the rules cannot be read, they may be those that were read before.
        guard let namespace = try? NetworkNamespace(of: socket.descriptor),
            let read = try? NamespaceRules(namespace, matcher: matcher, closer: closer)
        else { return true }
        (rules, generation) = (read, state.generation)
        let pause = Interval(nanoseconds: (.now - began).nanoseconds * Self.pauses)
        nextReading = (.now + pause, .now + max(pause, Self.maxAge))
        return true
    }
}

extension BypassError {
    fileprivate init(startingTrace error: NetfilterError) {
        guard case .refused(let operation, let errno, _) = error else {
            self = Self(readingTrace: error)
            return
        }
        switch errno {
        case .notPermitted, .fileExists:
            self = .conflict("another program has a table of the name that a trace needs: \(operation)")
        case .notSupported, .invalidArgument:
            self = .unsupported("this kernel cannot trace connections, which takes Linux 5.12: it refuses \(operation)")
        case .noSuchFileOrDirectory:
            self = .unsupported("this kernel has no nft_ct or nft_limit, which a trace needs: it refuses \(operation)")
        default:
            self = .kernelRefused(operation: "nf_tables \(operation)", errno: errno.name, detail: errno.description)
        }
    }

    fileprivate init(readingTrace error: NetfilterError) {
        switch error {
        case .systemCall(let error): self.init(error)
        case .rulesetChanged: self = .kernelRefused(operation: "tracing", errno: "EAGAIN", detail: "the rules change")
        case .refused(let operation, let errno, _):
            self = .kernelRefused(operation: "nf_tables \(operation)", errno: errno.name, detail: errno.description)
        }
    }
}
