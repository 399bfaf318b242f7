internal import BypassAPI

/// A reason to look at a bypass: for `status` and `doctor`, which show it once for all bypasses that have it.
enum Concern: CaseIterable {
    case ineffective, partial, degraded, contested, pointless, endless

    /// Those of a bypass. One cause is one concern: what is damaged is for that reason not effective.
    static func all(of bypass: BypassStatus) -> [Concern] {
        guard bypass.state != .off else { return [] }
        var concerns: [Concern] = []
        if bypass.warnings.contains(where: { $0.code == "contested" }) {
            concerns.append(.contested)
        } else if bypass.state == .degraded {
            concerns.append(.degraded)
        } else if !bypass.effective {
            concerns.append(bypass.effect == .partial ? .partial : .ineffective)
        } else if bypass.effect == .nothingToBypass {
            concerns.append(.pointless)
        }
        if bypass.expiresAt == nil { concerns.append(.endless) }
        return concerns
    }

    /// The concerns about bypasses, the gravest first, each with the namespaces.
    static func all(of bypasses: [BypassStatus]) -> [(concern: Concern, netns: [String])] {
        let found = bypasses.map { (netns: $0.netns, concerns: Self.all(of: $0)) }
        return allCases.compactMap { concern in
            let names = found.filter { $0.concerns.contains(concern) }.map(\.netns)
            return names.isEmpty ? nil : (concern, names)
        }
    }

    /// As a clause about the namespaces.
    var clause: String {
        switch self {
        case .ineffective: "bypassed without effect, connections still go to the sidecar"
        case .partial: "some connections still go to the sidecar"
        case .degraded: "rules are damaged, and not repaired yet"
        case .contested: "another program changes the rules again and again"
        case .pointless: "nothing redirects connections there, so there is nothing to bypass"
        case .endless: "never expires"
        }
    }

    /// The remedy for one of the namespaces.
    func advice(_ netns: String) -> String {
        let name = netns.namespaceArgument.shellWord
        return switch self {
        case .ineffective, .partial: "kmesh-bypassctl status \(name) says why"
        case .degraded: "kmesh-bypassctl status \(name) says what is missing"
        case .contested: "'nft monitor' in the namespace shows which program"
        case .pointless: "is it the right namespace? If not: kmesh-bypassctl off \(name)"
        case .endless: "kmesh-bypassctl on \(name) --for 15m makes it expire"
        }
    }
}
