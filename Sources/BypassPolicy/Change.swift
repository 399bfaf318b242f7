package import Bypass
package import BypassAPI
internal import Linux

/// A change of one namespace, as it was asked for.
package struct Change: Hashable, Sendable {
    package enum Operation: Hashable, Sendable {
        /// `ttl` in seconds; nil for a bypass that does not end by itself.
        case on(hooks: HookSet, scope: Scope = .all, ttl: Int?)
        case off
        /// Nothing is changed: it is shown what the bypass does.
        case explain
        /// The same of the namespace's connections, for a while.
        case trace
    }

    /// The one reference that means the host's namespace where the policy allows it.
    package static let host = NamespaceReference.host.canonical

    /// As the caller wrote it.
    package var netns: String
    /// What grants' globs are held against: `netns` in the one spelling that it has, and what else that very namespace is
    /// called under /run/netns, if ``Policy/looksAtNames(for:)``.
    package var designations: [String]
    package var operation: Operation
    /// Whether it is the host's namespace.
    package var isHost: Bool

    /// - Parameters:
    ///   - reference: `netns` in its one spelling, if it is another.
    ///   - names: what else the namespace is called, each in the one spelling that it has.
    package init(
        netns: String, reference: String? = nil, names: [String] = [], operation: Operation, isHost: Bool = false
    ) {
        self.netns = netns
        designations = [reference ?? netns] + names
        self.operation = operation
        self.isHost = isHost
    }
}

extension Change: CustomStringConvertible {
    /// As it follows "may" and "may not", with all that was asked for.
    package var description: String {
        words(direction: true, scope: true, ttl: true)
    }

    /// The same, but of direction, scope and ttl only what the unmet requirements are about.
    func words(about unmet: [UnmetRequirement]) -> String {
        var (direction, scope, ttl) = (false, false, false)
        for requirement in unmet {
            switch requirement {
            case .direction: direction = true
            case .scope: scope = true
            case .ttlMissing, .ttlTooLong: ttl = true
            case .role, .host, .hostByOtherName, .namespace: break
            }
        }
        return words(direction: direction, scope: scope, ttl: ttl)
    }

    private func words(direction tellsDirection: Bool, scope tellsScope: Bool, ttl tellsTTL: Bool) -> String {
        let netns = netns.asPartOfSentence
        if operation == .explain { return "explain \(netns)" }
        if operation == .trace { return "trace \(netns)" }
        guard case .on(let hooks, let scope, let ttl) = operation else { return "turn off \(netns)" }
        var words = "turn on \(netns)"
        if tellsDirection { words += hooks.count > 1 ? " in \(hooks.directionName)" : " \(hooks.directionName)" }
        if tellsScope && scope != .all { words += " for \(scope)" }
        if tellsTTL { words += ttl.map { " for \(TimeToLive.text(seconds: $0))" } ?? " without a time limit" }
        return words
    }
}
