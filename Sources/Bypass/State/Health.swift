package import BypassAPI

/// The health of an observed bypass.
package struct Health: Hashable, Sendable {
    package var state: BypassStatus.State
    /// How much of the direction that was asked for is bypassed. What is not known counts as not bypassed: no more is
    /// claimed than was seen. While off it is `ineffective`.
    package var effect: BypassStatus.Effect
    package var warnings: [Warning]

    package var effective: Bool { effect.isEffective }

    package init(_ observation: Observation) {
        guard let entry = observation.entry, entry.isLive(at: observation.now) else {
            let foreign = observation.foreignBypasses.map(Warning.foreignBypass)
            self.init(
                state: .off, effect: .ineffective,
                warnings: Self.truncated((observation.isSettled ? [] : [.unsettled]) + foreign, further: 0))
            return
        }
        let damage = Self.damage(entry.hooks, observation)
        var (isKnown, further) = (true, 0)
        var tally = Tally()
        var warnings = damage
        for redirect in observation.redirects {
            for direction in observation.directions(of: redirect).intersection(entry.hooks) {
                let isOverridden = redirect.isOverridden(direction, in: observation)
                tally.add(redirect.families, direction, isOverridden: isOverridden)
                if !isOverridden {
                    warnings.append(Warning(active: redirect, direction, in: observation))
                }
                // Whatever overrides the last of a kind by its priority overrides those that are evaluated later.
                if redirect.further > 0 && !redirect.isOverriddenByGuard(direction, in: observation) {
                    further += redirect.further
                }
            }
        }
        for unreadable in observation.unreadable {
            isKnown = false
            warnings.append(.unreadable(rules: unreadable.rules, reason: unreadable.reason))
        }
        if !observation.isSettled {
            isKnown = false
            warnings.append(.unsettled)
        }
        let effect = tally.effect(isKnown: isKnown && further == 0)
        if effect == .nothingToBypass { warnings.append(.noInterception) }
        for other in observation.otherNat where other.isOverridden(by: entry) {
            warnings.append(.otherNat(chain: other.chain, rule: other.rule))
        }
        warnings += observation.foreignBypasses.map(Warning.foreignBypass)
        self.init(
            state: damage.isEmpty ? .on : .degraded, effect: effect,
            warnings: Self.truncated(warnings, further: further + observation.furtherOtherNat))
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

    private init(state: BypassStatus.State, effect: BypassStatus.Effect, warnings: [Warning]) {
        self.state = state
        self.effect = effect
        self.warnings = warnings
    }

    /// What redirects take, by direction and family: which rules of a chain meet which connections is not known.
    private struct Tally {
        private var redirected: PairMap<Hook, FamilySet> = [:]
        private var active: PairMap<Hook, FamilySet> = [:]

        mutating func add(_ families: FamilySet, _ direction: Hook, isOverridden: Bool) {
            redirected[direction] = (redirected[direction] ?? []).union(families)
            if !isOverridden { active[direction] = (active[direction] ?? []).union(families) }
        }

        func effect(isKnown: Bool) -> BypassStatus.Effect {
            if isKnown && active.isEmpty { return redirected.isEmpty ? .nothingToBypass : .all }
            let isAnyBypassed = redirected.contains { direction, families in
                !families.isSubset(of: active[direction] ?? [])
            }
            return isAnyBypassed ? .partial : .ineffective
        }
    }

    /// Those codes of warnings that say what another program has damaged, each once.
    package static func damageCodes(in codes: [String]) -> [String] {
        ["rule-missing", "rule-not-first", "guard-missing", "redirect", "unseen"].filter(codes.contains)
    }

    private static func damage(_ hooks: HookSet, _ observation: Observation) -> [Warning] {
        var damage: [Warning] = []
        for hook in Hook.all {
            guard let traffic = hooks.traffic(at: hook) else { continue }
            for family in observation.families where hooks.contains(hook) {
                let natChain = NATChain(family, hook)
                if observation.chain(natChain)?.isClosed == true { continue }
                guard let chain = observation.chain(natChain), !chain.own.isEmpty, chain.ownTraffic == traffic else {
                    damage.append(.ruleMissing(natChain))
                    continue
                }
                if !chain.ownIsFirst { damage.append(.ruleNotFirst(natChain)) }
            }
            let isGuarded = observation.families.allSatisfy {
                observation.guardedTraffic(NATChain($0, hook)) == traffic
            }
            if !isGuarded { damage.append(.guardMissing(hook)) }
        }
        if hooks.contains(.prerouting), let needed = observation.neededMask(FamilySet(observation.families)),
            observation.mask?.covers(needed) != true, observation.takesMask(needed)
        {
            damage.append(.maskMissing)
        }
        return damage
    }
}

extension Warning {
    fileprivate static let unsettled = unseen("its rules change faster than they can be read")

    fileprivate init(active redirect: Observation.Redirect, _ direction: Hook, in observation: Observation) {
        switch redirect.mechanism {
        case .mark(let reason): self = .outboundTransparentProxy(redirect.name, unknown: reason)
        case .transparentProxy where direction == .output: self = .forwardedTraffic(redirect.name)
        case .transparentProxy where redirect.isMaskable && observation.lacksMask:
            self = .maskUnsupported(redirect.name)
        case .transparentProxy where redirect.isMaskable:
            let untracking = observation.untracking(maskedFor: redirect)
            self =
                untracking.map { .untracked(redirect.name, chain: $0.chain, rule: $0.rule) } ?? .redirect(redirect.name)
        case .transparentProxy: self = .transparentProxy(redirect.name)
        case .nat where redirect.priority <= Guard.priority: self = .earlierRedirect(redirect.name)
        case .nat: self = .redirect(redirect.name)
        }
    }
}

extension Observation.Redirect {
    /// The guard overrides every nat chain that is asked later than it, whatever made that; our rule overrides its own chain.
    fileprivate func isOverridden(_ direction: Hook, in observation: Observation) -> Bool {
        switch mechanism {
        case .nat:
            if isOverriddenByGuard(direction, in: observation) { return true }
            guard let chain = natChain.flatMap(observation.chain) else { return false }
            return chain.ownIsFirst && chain.ownTraffic.includes(direction, at: hook)
        case .transparentProxy:
            return direction == .prerouting && isMaskable && observation.mask?.covers(mask) == true
                && observation.untracking(maskedFor: self) == nil
        // It marks every packet of a connection: what it has marked cannot be distinguished from what a connection through the proxy
        // needs.
        case .mark: return false
        }
    }

    fileprivate func isOverriddenByGuard(_ direction: Hook, in observation: Observation) -> Bool {
        mechanism == .nat && priority > Guard.priority
            && families.allSatisfy {
                observation.guardedTraffic(NATChain($0, hook))?.includes(direction, at: hook) == true
            }
    }
}

extension Observation.Redirect {
    /// Whether the mask's chains stand around it.
    var isMaskable: Bool {
        mechanism == .transparentProxy && hook == .prerouting && priority == Guard.maskedPriority
            && sources.contains(.outside)
    }

    /// The mask that hides from it everything that it may take.
    fileprivate var mask: Mask { Mask(families, hidesDatagrams: takesDatagrams) }
}

extension Observation {
    /// In which directions a redirect takes connections. That depends on their way, not on its hook alone: in PREROUTING,
    /// what a named interface brings may be forwarded; what comes by `lo` has been sent by the namespace itself, and nat has
    /// decided about it in OUTPUT.
    package func directions(of redirect: Redirect) -> HookSet {
        switch redirect.mechanism {
        case .nat where redirect.hook == .output: return [.output]
        case .nat, .transparentProxy:
            var directions: HookSet = []
            if redirect.sources.contains(.outside) { directions.insert(.prerouting) }
            if redirect.sources.contains(.namedInterface) { directions.insert(.output) }
            return directions
        case .mark:
            // What leaves by `lo` is for the pod itself: a sidecar marks its own connections there.
            guard redirect.sources.contains(.outside) else { return [] }
            let isTaken = redirects.contains {
                $0.mechanism == .transparentProxy && $0.sources.contains(.loopback)
                    && !$0.families.isDisjoint(with: redirect.families)
            }
            return isTaken ? [.output] : []
        }
    }
}

extension Observation {
    /// In which directions no redirect takes connections past the bypass, as far as the rules are known.
    package var overriddenHooks: HookSet {
        if !isSettled || !unreadable.isEmpty { return [] }
        return HookSet(Hook.all).filter { direction in
            redirects.allSatisfy {
                !directions(of: $0).contains(direction) || $0.isOverridden(direction, in: self)
            }
        }
    }

    /// Whether TPROXY would take inbound connections, and the mask's chains keep them from it.
    package var hidesFromTransparentProxy: Bool {
        guard let needed = maskForRedirects(FamilySet(families)) else { return false }
        return mask?.covers(needed) == true
    }

    /// A rule by which packets that TPROXY takes may not be masked.
    fileprivate func untracking(maskedFor redirect: Redirect) -> Untracking? {
        untracking.first {
            !$0.families.isDisjoint(with: redirect.families) && ($0.isForTCP || $0.isForUDP && redirect.takesDatagrams)
        }
    }

    /// The mask for these families that hides everything from TPROXY that it may take now; nil if there is no TPROXY.
    private func maskForRedirects(_ families: FamilySet) -> Mask? {
        let masks = redirects.filter(\.isMaskable).map(\.mask)
        guard let first = masks.first else { return nil }
        var needed = masks.dropFirst().reduce(first) { $0.union($1) }
        needed.families.formIntersection(families)
        return needed.families.isEmpty ? nil : needed
    }

    /// The least that a bypass of inbound connections has to mask; nil if it takes no mask. Where TPROXY was, and may come back,
    /// a mask stays: of what it takes then nothing is known.
    func neededMask(_ families: FamilySet) -> Mask? {
        if let needed = maskForRedirects(families) { return needed }
        return entry?.created.contains(.mask) == true ? mask ?? Mask(families) : nil
    }

    /// Whether a bypass has such a mask, or gets it: not where the kernel has refused one.
    func takesMask(_ needed: Mask) -> Bool { !lacksMask || mask?.covers(needed) == true }

    /// The mask that a bypass of inbound connections is to have; nil for none. What stands and hides more is kept: what
    /// TPROXY took once it may take again.
    func desiredMask(_ families: FamilySet) -> Mask? {
        guard let needed = neededMask(families), takesMask(needed) else { return nil }
        return mask.map { needed.union($0) } ?? needed
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
