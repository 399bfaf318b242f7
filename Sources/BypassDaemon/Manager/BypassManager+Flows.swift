internal import Bypass
internal import BypassAPI
internal import Datapath

/// Flows that are older than a change, and take another way than new ones would.
extension BypassManager {
    /// Has UDP take its new way, and with `connections` at `reset` ends TCP connections that do not.
    ///
    /// - Parameters:
    ///   - before: which connections bypassed the sidecar before the change.
    ///   - observation: what was found after it.
    func settleFlows(
        before: BypassedConnections, _ observation: Observation, _ connections: OpenConnections = .keep,
        in session: inout NamespaceSession
    ) -> StrayFlows {
        let change = FlowChange(before: before, now: observation.bypassed)
        // Where a redirect is not overridden, it is not known what takes a new connection.
        let hooks = change.ended.union(change.now.hooks.intersection(observation.overriddenHooks))
        return settleFlows(change, connections == .reset ? .reset(hooks) : .move, observation, in: &session)
    }

    /// The same after the end of a bypass.
    ///
    /// - Parameter removed: rules that kept connections from the proxy, too.
    func settleFlows(
        after ending: Reconciler.Ending, of removed: [ForeignBypass] = [], _ connections: OpenConnections = .keep,
        in session: inout NamespaceSession
    ) -> StrayFlows {
        var before = BypassedConnections(ending.entry)
        if !removed.isEmpty {
            before = BypassedConnections(before.hooks.union(HookSet(removed.map(\.natChain.hook))), .all)
        }
        return settleFlows(before: before, ending.after, connections, in: &session)
    }

    /// Counts them only.
    func countFlows(_ observation: Observation, in session: inout NamespaceSession) -> StrayFlows {
        let bypassed = observation.bypassed
        return settleFlows(FlowChange(before: bypassed, now: bypassed), .count, observation, in: &session)
    }

    private func settleFlows(
        _ change: FlowChange, _ handling: FlowHandling, _ observation: Observation,
        in session: inout NamespaceSession
    ) -> StrayFlows {
        // Where nothing redirects, there is no other way.
        let isRedirected = observation.redirects.contains {
            !observation.directions(of: $0).isDisjoint(with: change.now.hooks)
        }
        if change.ended.isEmpty && !isRedirected { return StrayFlows() }
        return session.settle(change, handling, isMasked: observation.hidesFromTransparentProxy)
    }

    /// - Parameters:
    ///   - netns: as the caller named it.
    ///   - status: of the bypass.
    static func warnings(of strays: StrayFlows, _ netns: String, _ status: BypassStatus) -> [Bypass.Warning] {
        var warnings: [Bypass.Warning] = []
        if let reason = strays.notEnded { warnings.append(.connectionsNotEnded(reason)) }
        if let direction = status.direction, strays.connections != 0 {
            let option = direction == .both ? "" : " --direction \(direction.rawValue)"
            let options = option + status.scope.options + status.attributionOptions
            let command = "kmesh-bypassctl on \(netns.asPartOfSentence)\(options) --reset"
            warnings.append(.establishedConnections(strays.connections, command: command))
        }
        if strays.datagrams != 0 {
            warnings.append(.datagramFlows(strays.datagrams, strays.reason ?? "they are older than the bypass"))
        }
        return warnings
    }
}

extension Observation {
    var bypassed: BypassedConnections {
        BypassedConnections(entry.flatMap { $0.isLive(at: now) ? $0 : nil })
    }
}

extension BypassedConnections {
    /// - Parameter entry: one that lives; nil for no connection.
    fileprivate init(_ entry: MapEntry?) {
        self.init(entry?.hooks ?? [], entry?.scope ?? .all)
    }
}

extension BypassStatus {
    /// What `kmesh-bypassctl on` has to be given so that the bypass keeps its expiry, owner and reason: `on` replaces them.
    fileprivate var attributionOptions: String {
        let left = expiresAt.map { max(1, $0.secondsSince1970 - Timestamp.now.secondsSince1970) }
        let options: [(String, String?)] = [
            ("--for", left.map { "\($0)s" }), ("--owner", owner?.shellQuoted), ("--reason", reason?.shellQuoted),
        ]
        return options.map { option, value in value.map { " \(option) \($0)" } ?? "" }.joined()
    }
}

extension String {
    /// As a shell takes it for this one word; control characters as people see them.
    fileprivate var shellQuoted: String { "'\(printable.replacing("'", with: #"'\''"#))'" }
}

extension Scope {
    /// As `kmesh-bypassctl on` takes it, each with a space before it.
    fileprivate var options: String {
        let lists: [(String, [any CustomStringConvertible])] = [
            ("--port", only?.ports ?? []), ("--network", only?.networks ?? []),
            ("--except-port", except?.ports ?? []), ("--except-network", except?.networks ?? []),
        ]
        return lists.filter { !$0.1.isEmpty }.map { option, elements in
            " \(option) " + elements.map(\.description).joined(separator: ",")
        }.joined()
    }
}
