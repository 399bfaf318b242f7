/// What an observation means, for the one who asked.
public struct Assessment: Hashable, Sendable {
    public enum State: Hashable, Sendable {
        case on, off
        /// Wanted, but a rule is missing or no longer first.
        case degraded
    }

    public var state: State
    /// Whether every interception found, in the direction that was asked for, is beaten. False while off.
    public var effective: Bool
    public var warnings: [Warning]

    public init(_ observation: Observation) {
        guard let entry = observation.entry, entry.isLive(at: observation.now) else {
            self.init(state: .off, effective: false, warnings: [])
            return
        }
        let hooks = Hook.allCases.filter(entry.hooks.contains)
        let damage = Self.damage(hooks, observation)
        let asked = observation.interceptions.filter { entry.hooks.contains($0.hook) }
        let undefeated = asked.filter { !$0.isBeaten(in: observation) }
        let warnings =
            damage
            + undefeated.map(Warning.init(undefeated:))
        self.init(
            state: damage.isEmpty ? .on : .degraded, effective: undefeated.isEmpty,
            warnings: warnings + (asked.isEmpty ? [.noInterception] : []))
    }

    private init(state: State, effective: Bool, warnings: [Warning]) {
        self.state = state
        self.effective = effective
        self.warnings = warnings
    }

    private static func damage(_ hooks: [Hook], _ observation: Observation) -> [Warning] {
        var damage: [Warning] = []
        for hook in hooks {
            for family in observation.families {
                let place = Place(family, hook)
                if observation.chain(place)?.isClosed == true { continue }
                guard let chain = observation.chain(place), !chain.own.isEmpty else {
                    damage.append(.ruleMissing(place))
                    continue
                }
                if !chain.ownIsFirst { damage.append(.ruleNotFirst(place)) }
            }
            let isGuarded = observation.families.allSatisfy { observation.isGuarded(Place($0, hook)) }
            if !isGuarded { damage.append(.guardMissing(hook)) }
        }
        return damage
    }
}

extension Warning {
    fileprivate init(undefeated interception: Observation.Interception) {
        switch interception.means {
        case .transparentProxy: self = .transparentProxy(interception.name)
        case .nat where interception.priority <= Guard.priority: self = .earlierRedirect(interception.name)
        case .nat: self = .redirect(interception.name)
        }
    }
}

extension Observation.Interception {
    /// The guard beats every nat chain that is asked later than it, whatever made that; our rule beats its own chain.
    fileprivate func isBeaten(in observation: Observation) -> Bool {
        guard means == .nat else { return false }
        let isGuarded = families.allSatisfy { observation.isGuarded(Place($0, hook)) }
        if isGuarded && priority > Guard.priority { return true }
        return place.flatMap(observation.chain)?.ownIsFirst == true
    }
}

/// The table that beats redirects in whatever table they are.
public enum Guard {
    public static let table = "kmesh_bypass"
    /// One before the priority of destination nat (NF_IP_PRI_NAT_DST, -100), at which every mesh redirects.
    public static let priority: Int32 = -101
}
