/// What keeps a grant from allowing what was asked for.
public enum Lack: Hashable, Sendable {
    /// The role is too low.
    case role(has: Role, needed: Role)
    case host
    /// The namespace is none of these.
    case namespace([Glob])
    case direction(allowed: Set<Hook>)
    case ttlMissing(atMost: Int?)
    case ttlTooLong(atMost: Int)
}

extension Grant {
    /// What this grant, if it is the caller's, lacks for calling what needs a role.
    func lacks(for role: Role) -> [Lack] {
        self.role < role ? [.role(has: self.role, needed: role)] : []
    }

    /// What this grant, if it is the caller's, lacks for a change.
    func lacks(for change: Change) -> [Lack] {
        if role < .bypass { return lacks(for: .bypass) }
        if change.isHost { return includesHost ? [] : [.host] }
        var lacks: [Lack] = []
        if let namespaces {
            let matches = namespaces.contains { glob in change.designations.contains { glob.matches($0) } }
            if !matches { lacks.append(.namespace(namespaces)) }
        }
        guard case .on(let asked, let ttl) = change.wish else { return lacks }
        if let hooks, !asked.isSubset(of: hooks) { lacks.append(.direction(allowed: hooks)) }
        if let ttl = ttl ?? defaultTTL {
            if let maxTTL, ttl > maxTTL { lacks.append(.ttlTooLong(atMost: maxTTL)) }
        } else if requiresTTL || maxTTL != nil {
            lacks.append(.ttlMissing(atMost: maxTTL))
        }
        return lacks
    }
}

extension Lack: CustomStringConvertible {
    /// What the grant does instead, after words such as "the grant in line 7".
    public var description: String {
        switch self {
        case .role(let has, let needed): "gives role \(has.rawValue), and this needs role \(needed.rawValue)"
        case .host: "is not for the host's namespace"
        case .namespace(let globs): "is for \(Self.listed(globs)) only"
        case .direction(let allowed): "allows \(allowed.directionName) only"
        case .ttlMissing(nil): "requires one"
        case .ttlMissing(let seconds?): "requires one of at most \(seconds) seconds"
        case .ttlTooLong(let seconds): "allows at most \(seconds) seconds"
        }
    }

    private static func listed(_ globs: [Glob]) -> String {
        let shown = 4
        let head = globs.prefix(shown).map(\.description).joined(separator: ", ")
        return globs.count > shown ? "\(head) and \(globs.count - shown) more" : head
    }
}

extension [Lack] {
    /// All of them, as one sentence goes on after what the grant is called.
    public var words: String {
        let words = map(\.description)
        return words.count < 2
            ? words.joined() : words.dropLast().joined(separator: ", ") + " and " + words[words.count - 1]
    }
}

extension Set<Hook> {
    /// As the parameter of the call has it.
    var directionName: String {
        switch (contains(.prerouting), contains(.output)) {
        case (true, true): "both directions"
        case (true, false): "inbound"
        case (false, _): "outbound"
        }
    }
}
