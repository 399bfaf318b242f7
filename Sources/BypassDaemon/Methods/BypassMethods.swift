internal import Bypass
internal import BypassAPI
internal import Linux

// The methods of the contract that change a bypass or read one: each translates its parameters, calls the manager, and
// gives the result.

extension Router {
    /// `bypass`
    mutating func addBypass(_ manager: BypassManager) {
        add(BypassMethod.self) { parameters, call throws(BypassError) in
            if let violation = parameters.violation { throw violation }
            var request = BypassManager.Request(parameters.netns, by: call.peer)
            request.ifGeneration = parameters.ifGeneration
            request.ifOwner = parameters.ifOwner
            request.expecting = try IPAddress.expected(parameters.expectAddresses)
            request.owner = parameters.owner
            request.reason = parameters.reason
            request.scope = parameters.scope
            request.removesForeign = parameters.foreign ?? false
            return try manager.audited(request, as: "bypass \(parameters.state.rawValue)", &call.afterAnswer) {
                after throws(BypassError) in
                let connections = parameters.connections ?? .keep
                return switch parameters.state {
                case .on:
                    try manager.turnOn(
                        request, parameters.direction ?? .both, ttl: parameters.ttl, connections, &after)
                case .off: try manager.turnOff(request, connections, &after)
                }
            }
        }
    }

    /// `extend`
    mutating func addExtend(_ manager: BypassManager) {
        add(ExtendMethod.self) { parameters, call throws(BypassError) in
            var request = BypassManager.Request(parameters.netns, by: call.peer)
            request.ifGeneration = parameters.ifGeneration
            return try manager.audited(request, as: ExtendMethod.name, &call.afterAnswer) { after throws(BypassError) in
                try manager.extend(request, by: parameters.ttl, &after)
            }
        }
    }

    /// `status`
    mutating func addStatus(_ manager: BypassManager) {
        add(StatusMethod.self) { parameters, call throws(BypassError) in
            var request = BypassManager.Request(parameters.netns, by: call.peer)
            request.expecting = try IPAddress.expected(parameters.expectAddresses)
            return try manager.status(request, &call.afterAnswer)
        }
    }

    /// `explain`
    mutating func addExplain(_ manager: BypassManager) {
        add(ExplainMethod.self) { parameters, call throws(BypassError) in
            try manager.explain(parameters.netns, ExplainRequest(parameters), by: call.peer, &call.afterAnswer)
        }
    }

    /// `trace`
    mutating func addTrace(_ manager: BypassManager) {
        add(TraceMethod.self) { parameters, call throws(BypassError) in
            call.subscription.endTrace()
            let feed = TraceFeed(for: call.subscription.handle)
            let result = try manager.trace(TraceRequest(parameters), to: feed, by: call.peer, &call.afterAnswer)
            call.subscription.begin(feed)
            return result
        }
    }

    /// `list`
    mutating func addList(_ manager: BypassManager, after recovery: Recovery, unread: UnreadAnswers) {
        add(ListMethod.self) { _, call in
            recovery.waitUntilComplete()
            unread.waitForRoom()
            return manager.list(for: call.peer)
        }
    }

    /// `clear`
    mutating func addClear(_ manager: BypassManager, after recovery: Recovery) {
        add(ClearMethod.self) { parameters, call in
            recovery.waitUntilComplete()
            return manager.clear(owner: parameters.owner, by: call.peer, &call.afterAnswer)
        }
    }
}

extension BypassMethod.Parameters {
    fileprivate var scope: Scope { Scope(only: only, except: except, cgroup: cgroup.map(UInt64.init)) }

    /// The checks beyond the method table.
    fileprivate var violation: BypassError? {
        if state == .off {
            if direction != nil { return .invalidParameter("direction: goes with state on only") }
            if ttl != nil { return .invalidParameter("ttl: goes with state on only") }
            if only != nil { return .invalidParameter("only: goes with state on only") }
            if except != nil { return .invalidParameter("except: goes with state on only") }
            if cgroup != nil { return .invalidParameter("cgroup: goes with state on only") }
        }
        if state == .on && foreign != nil { return .invalidParameter("foreign: goes with state off only") }
        if cgroup != nil {
            // What comes in has no sender in the namespace.
            if direction != .outbound { return .invalidParameter("cgroup: goes with direction outbound only") }
            // It may outlive the client that would turn the bypass off.
            if ttl == nil { return .invalidParameter("cgroup: needs a ttl") }
        }
        if except != nil && scope.isEmpty { return .invalidParameter("except: leaves no connection to bypass") }
        return nil
    }
}

extension IPAddress {
    /// The value of `expectAddresses`.
    fileprivate static func expected(_ addresses: [String]?) throws(BypassError) -> [IPAddress]? {
        guard let addresses else { return nil }
        if addresses.isEmpty { throw .invalidParameter("expectAddresses: name at least one address") }
        var expected: [IPAddress] = []
        for text in addresses {
            guard let address = IPAddress(text) else {
                throw .invalidParameter("expectAddresses: \(text.asPartOfSentence) is not an IPv4 or IPv6 address")
            }
            expected.append(address)
        }
        return expected
    }
}
