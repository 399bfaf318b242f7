package import BypassAPI

/// The health of an observed bypass.
package struct Health: Hashable, Sendable {
    package var state: BypassStatus.State
    /// Whether every redirect found, in the direction that was asked for, is overridden. False while off, and while there
    /// are rules that cannot be read.
    package var effective: Bool
    package var warnings: [Warning]

    package init(_ observation: Observation) {
        guard let entry = observation.entry, entry.isLive(at: observation.now) else {
            self.init(state: .off, effective: false, warnings: observation.isSettled ? [] : [.unsettled])
            return
        }
        let damage = Self.damage(entry.hooks, observation)
        var (isAsked, isEffective, further) = (false, true, 0)
        var warnings = damage
        for redirect in observation.redirects where entry.hooks.contains(redirect.hook) {
            isAsked = true
            // Whatever overrides the last of a kind by its priority overrides those that are evaluated later.
            if redirect.further > 0 && !redirect.isOverriddenByGuard(in: observation) { further += redirect.further }
            if redirect.isOverridden(in: observation) { continue }
            isEffective = false
            warnings.append(Warning(active: redirect))
        }
        for unreadable in observation.unreadable {
            isEffective = false
            warnings.append(.unreadable(rules: unreadable.rules, reason: unreadable.reason))
        }
        if !observation.isSettled {
            isEffective = false
            warnings.append(.unsettled)
        } else if !isAsked && observation.unreadable.isEmpty {
            warnings.append(.noInterception)
        }
        self.init(
            state: damage.isEmpty ? .on : .degraded, effective: isEffective && further == 0,
            warnings: Self.truncated(warnings, further: further))
    }

    private static let maxOfKind = 16
    private static let maxBytes = 8192

    /// The first of each kind, and how many more there are: a pod can have any number, with names of any kind.
    private static func truncated(_ warnings: [Warning], further: Int) -> [Warning] {
        var shown: [Warning] = []
        var ofKind: [String: Int] = [:]
        var bytes = 0
        for warning in warnings {
            ofKind[warning.code, default: 0] += 1
            bytes += warning.message.utf8.count
            if ofKind[warning.code, default: 0] <= maxOfKind && bytes <= maxBytes { shown.append(warning) }
        }
        let left = warnings.count - shown.count + further
        return left == 0 ? shown : shown + [.truncated(left)]
    }

    private init(state: BypassStatus.State, effective: Bool, warnings: [Warning]) {
        self.state = state
        self.effective = effective
        self.warnings = warnings
    }

    private static func damage(_ hooks: HookSet, _ observation: Observation) -> [Warning] {
        var damage: [Warning] = []
        for hook in hooks {
            for family in observation.families {
                let natChain = NATChain(family, hook)
                if observation.chain(natChain)?.isClosed == true { continue }
                guard let chain = observation.chain(natChain), !chain.own.isEmpty else {
                    damage.append(.ruleMissing(natChain))
                    continue
                }
                if !chain.ownIsFirst { damage.append(.ruleNotFirst(natChain)) }
            }
            let isGuarded = observation.families.allSatisfy { observation.isGuarded(NATChain($0, hook)) }
            if !isGuarded { damage.append(.guardMissing(hook)) }
        }
        if hooks.contains(.prerouting), observation.needsMask,
            !observation.isMasked(FamilySet(observation.families))
        {
            damage.append(.maskMissing)
        }
        return damage
    }
}

extension Warning {
    fileprivate static let unsettled = unseen("its rules change faster than they can be read")

    fileprivate init(active redirect: Observation.Redirect) {
        switch redirect.mechanism {
        case .transparentProxy where redirect.isMaskable: self = .redirect(redirect.name)
        case .transparentProxy: self = .transparentProxy(redirect.name)
        case .nat where redirect.priority <= Guard.priority: self = .earlierRedirect(redirect.name)
        case .nat: self = .redirect(redirect.name)
        }
    }
}

extension Observation.Redirect {
    /// The guard overrides every nat chain that is asked later than it, whatever made that; our rule overrides its own chain.
    fileprivate func isOverridden(in observation: Observation) -> Bool {
        switch mechanism {
        case .nat: isOverriddenByGuard(in: observation) || natChain.flatMap(observation.chain)?.ownIsFirst == true
        case .transparentProxy: isMaskable && observation.isMasked(families)
        }
    }

    fileprivate func isOverriddenByGuard(in observation: Observation) -> Bool {
        mechanism == .nat && priority > Guard.priority
            && families.allSatisfy { observation.isGuarded(NATChain($0, hook)) }
    }
}

extension Observation.Redirect {
    /// Whether the mask's chains stand around it.
    var isMaskable: Bool {
        mechanism == .transparentProxy && hook == .prerouting && priority == Guard.maskedPriority
    }
}

extension Observation {
    /// Whether a bypass of inbound connections takes a mask: TPROXY is there, or was.
    var needsMask: Bool {
        redirects.contains(where: \.isMaskable) || entry?.created.contains(.mask) == true
    }
}

/// The table that overrides redirects in whatever table they are.
package enum Guard {
    package static let table = "kmesh_bypass"
    /// One before the priority of destination nat (NF_IP_PRI_NAT_DST, -100), at which every mesh redirects.
    package static let priority: Int32 = -101
    /// The priority of mangle (NF_IP_PRI_MANGLE), at which every mesh has its TPROXY.
    package static let maskedPriority: Int32 = -150
}
