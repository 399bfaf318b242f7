package import Bypass
package import BypassAPI

/// A requirement of a grant that the request does not meet.
package enum UnmetRequirement: Hashable, Sendable {
    /// The role is too low.
    case role(has: Permission, needed: Permission)
    case host
    /// It is for the host's namespace, but not by the reference that the caller wrote.
    case hostByOtherName
    /// The namespace is none of these.
    case namespace([Glob])
    case direction(allowed: HookSet)
    case scope(allowed: Scope)
    case ttlMissing(atMost: Int?)
    case ttlTooLong(atMost: Int)
}

extension Grant {
    /// The requirements that a call which needs a role does not meet, if this is the caller's grant.
    func unmetRequirements(for role: Permission) -> [UnmetRequirement] {
        self.role < role ? [.role(has: self.role, needed: role)] : []
    }

    /// The requirements that a change does not meet, if this is the caller's grant.
    func unmetRequirements(for change: Change) -> [UnmetRequirement] {
        if role < .bypass { return unmetRequirements(for: .bypass) }
        if change.isHost { return !includesHost ? [.host] : change.netns == Change.host ? [] : [.hostByOtherName] }
        var unmet: [UnmetRequirement] = []
        if let namespaces {
            let matches = namespaces.contains { glob in change.designations.contains { glob.matches($0) } }
            if !matches { unmet.append(.namespace(namespaces)) }
        }
        guard case .on(let asked, let askedScope, let ttl) = change.operation else { return unmet }
        if let hooks, !asked.isSubset(of: hooks) { unmet.append(.direction(allowed: hooks)) }
        if scope != .all, !askedScope.isSubset(of: scope) { unmet.append(.scope(allowed: scope)) }
        if let ttl = ttl ?? defaultTTL {
            if let maxTTL, ttl > maxTTL { unmet.append(.ttlTooLong(atMost: maxTTL)) }
        } else if requiresTTL || maxTTL != nil {
            unmet.append(.ttlMissing(atMost: maxTTL))
        }
        return unmet
    }
}

extension UnmetRequirement: CustomStringConvertible {
    /// The grant's effect, after words such as "the grant in line 7".
    package var description: String {
        switch self {
        case .role(let has, let needed): "gives role \(has.rawValue), and this needs role \(needed.rawValue)"
        case .host: "is not for the host's namespace"
        case .hostByOtherName: "is for the host's namespace by the name \(Change.host) only"
        case .namespace(let globs): "is for \(Self.listed(globs)) only"
        case .direction(let allowed): "allows \(allowed.directionName) only"
        case .scope(let allowed): "requires a scope within (\(allowed))"
        case .ttlMissing(nil): "requires one (--for, or ttl)"
        case .ttlMissing(let seconds?): "requires one of at most \(Self.limit(seconds))"
        case .ttlTooLong(let seconds): "allows at most \(Self.limit(seconds))"
        }
    }

    /// As the policy file, the command line and the parameter of the call have it.
    private static func limit(_ seconds: Int) -> String {
        let text = TimeToLive.text(seconds: seconds)
        return "\(text) (--for \(text), or ttl \(seconds))"
    }

    private static func listed(_ globs: [Glob]) -> String {
        let shown = 4
        let head = globs.prefix(shown).map(\.description).joined(separator: ", ")
        return globs.count > shown ? "\(head) and \(globs.count - shown) more" : head
    }
}

extension [UnmetRequirement] {
    /// All of them, as one sentence goes on after what the grant is called.
    package var words: String {
        let words = map(\.description)
        return words.count < 2
            ? words.joined() : words.dropLast().joined(separator: ", ") + " and " + words[words.count - 1]
    }
}

extension HookSet {
    /// As the parameter of the call has it.
    var directionName: String {
        switch (contains(.prerouting), contains(.output)) {
        case (true, true): "both directions"
        case (true, false): "inbound"
        case (false, _): "outbound"
        }
    }
}
